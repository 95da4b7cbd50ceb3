/**
 * A process that has an embedded log open, whose reader is another one: `fork("log-keeper.mjs", [DIRECTORY])`. It appends until some
 * segments are sealed, sends `{ end }`, and then archives and prunes as it is told by messages, answering each with what it did.
 */
import { createHash } from "node:crypto";
import { storedRecords, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { context } from "./log-appender.mjs";

const SEGMENT_BYTES = 32 * 1024;
/** More than a reader keeps open. */
const SEGMENTS = 20;
const PAYLOAD_BYTES = 3000;
const ALL = Number.POSITIVE_INFINITY;

const log = await openEmbeddedLog({
  directory: process.argv[2],
  disk: systemDisk(),
  env: systemEnv(),
  indexStore: memoryOrderedStore(),
  segmentBytes: SEGMENT_BYTES,
});

/** The payload follows from the position. */
async function fill() {
  for (let position = 0; log.health.activeSegment < SEGMENTS; position++) {
    const id = Buffer.alloc(16);
    id.writeUInt32LE(position + 1);
    const payload = Buffer.alloc(PAYLOAD_BYTES, position);
    const events = [{ id, type: "Appended", schemaVersion: 1, context, payload }];
    await log.append([{ stream: "all", expected: "any", events }]);
  }
  await log.indexed();
}

async function leavesOf(records) {
  const leaves = [];
  for (const { payload, isControl } of storedRecords(records))
    if (!isControl) leaves.push(createHash("sha256").update(payload).digest());
  return Buffer.concat(leaves);
}

const nothing = async () => undefined;
const jobs = {
  archive: () =>
    log.retention.archive({ beforeMs: ALL, signedEnd: ALL, leavesOf, checkLeaves: nothing, pause: nothing }),
  prune: () =>
    log.retention.prune({
      beforeMs: ALL,
      needs: async () => [],
      heldBy: nothing,
      by: { principal: "test", reason: "" },
    }),
};

await fill();
process.on("message", async (job) => {
  const { segments } = await jobs[job]();
  process.send({ segments: segments.length, base: log.base });
});
process.send({ end: log.durableEnd });
