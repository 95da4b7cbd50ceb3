/**
 * A process that appends to an embedded log as fast as it can, until somebody kills it: `node log-appender.mjs DIRECTORY RUN`.
 * It prints `position id` for every acknowledged append, one line each; a line is printed only after the acknowledgement.
 */
import { systemEnv } from "@millrace/engine";
import { openLmdbStore } from "@millrace/native";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";

const CALLERS = 32;
const PAYLOAD_BYTES_MAX = 2000;
const LARGE_PAYLOAD_BYTES = 40_000;
/** Exit code of a host whose log stopped. */
const EXIT_LOG_STOPPED = 74;
export const SEGMENT_BYTES = 4 * 1024 * 1024;

const nobody = new Uint8Array(16);
export const context = {
  causationId: nobody,
  correlationId: nobody,
  principal: "test",
  tenant: "",
  codeVersion: "1",
  graph: "",
  graphRevision: 0,
  node: "",
  epoch: 0,
};

export async function openLog(directory, onFatal) {
  const indexStore = await openLmdbStore({ dir: `${directory}/index` });
  const log = await openEmbeddedLog({
    directory: `${directory}/log`,
    disk: systemDisk(),
    env: systemEnv(),
    indexStore,
    segmentBytes: SEGMENT_BYTES,
    lockWaitMs: 5000,
    onFatal,
  });
  return {
    log,
    close: async () => {
      await log.close();
      await indexStore.close();
    },
  };
}

/** An id from which the payload follows, so that a reader can check both. */
function eventOf(run, caller, number) {
  const id = Buffer.alloc(16);
  id.writeUInt32LE(run, 0);
  id.writeUInt32LE(caller, 4);
  id.writeUInt32LE(number, 8);
  id.writeUInt32LE(Math.imul(number + 1, 0x9e3779b1) >>> 0, 12);
  return { id, type: "Appended", schemaVersion: 1, context, payload: payloadOf(id) };
}

export function payloadOf(id) {
  const mixed = id.readUInt32LE(12);
  const length = mixed % 50 === 0 ? LARGE_PAYLOAD_BYTES : mixed % PAYLOAD_BYTES_MAX;
  return Buffer.alloc(length, mixed % 7 === 0 ? 0 : mixed & 255);
}

async function call(log, run, caller, acknowledged) {
  const own = `caller-${caller}`;
  let revision = await log.head(own);
  for (let number = 0; ; number += 2) {
    const mine = eventOf(run, caller, number);
    const shared =
      number % 10 === 0 ? [{ stream: "shared", expected: "any", events: [eventOf(run, caller, number + 1)] }] : [];
    const { position } = await log.append([
      { stream: own, expected: revision < 0 ? "none" : revision, events: [mine] },
      ...shared,
    ]);
    revision++;
    acknowledged(position - shared.length, mine.id);
    for (const { events } of shared) acknowledged(position, events[0].id);
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [directory, run] = [process.argv[2], Number(process.argv[3])];
  const { log } = await openLog(directory, () => process.exit(EXIT_LOG_STOPPED));
  let lines = "";
  const acknowledged = (position, id) => {
    if (lines === "") queueMicrotask(() => setImmediate(print));
    lines += `${position} ${id.toString("hex")}\n`;
  };
  const print = () => {
    process.stdout.write(lines);
    lines = "";
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(log, run, caller, acknowledged)));
}
