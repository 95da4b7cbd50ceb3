/**
 * Appends one event to each of many streams and prints what the process takes then: `node --expose-gc many-streams.mjs <directory> <streams>`.
 * After that it appends to streams drawn from all of them, which the log has mostly let go of, and opens the log again.
 */
import { readFileSync } from "node:fs";
import { benchContext } from "./bench-context.mjs";
import { openLog } from "./open-log.mjs";

const AT_ONCE = 1024;
const LAG_MAX = 200_000;
const AGAIN = 100_000;
const MIB = 2 ** 20;
const PAYLOAD = Buffer.alloc(120, 7);

function eventOf(i) {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i + 1, 0);
  return { id, type: `Type${i % 8}`, schemaVersion: 1, context: benchContext(id, id), payload: PAYLOAD };
}

/** Without what is mapped of files, which the system takes back when it needs it. */
function memory() {
  globalThis.gc();
  const anonKib = /RssAnon:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1];
  return { heapMib: process.memoryUsage().heapUsed / MIB, anonMib: Number(anonKib) / 1024 };
}

/** CPU time of the process for an event, its threads included. */
async function append(log, events, streamOf) {
  const first = log.durableEnd;
  const before = process.cpuUsage();
  for (let from = 0; from < events; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, events - from);
    const appends = Array.from({ length: count }, (_, k) => {
      const stream = `order-${streamOf(from + k)}`;
      return log.append([{ stream, expected: "any", events: [eventOf(first + from + k)] }]);
    });
    await Promise.all(appends);
    if (log.health.indexLag > LAG_MAX) await log.indexed();
  }
  await log.indexed();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / events;
}

async function filled(directory, streams) {
  const { log, close } = await openLog(directory);
  const before = memory();
  const appendCpuNs = await append(log, streams, (i) => i);
  const { heapMib, anonMib } = memory();
  const againCpuNs = await append(log, Math.min(AGAIN, streams), (i) => (i * 7_368_787) % streams);
  await close();
  return { heapMib: heapMib - before.heapMib, anonMib: anonMib - before.anonMib, appendCpuNs, againCpuNs };
}

async function openedAgain(directory) {
  const before = memory();
  const startedMs = performance.now();
  const { close } = await openLog(directory);
  const openMs = performance.now() - startedMs;
  const openHeapMib = memory().heapMib - before.heapMib;
  await close();
  return { openMs, openHeapMib };
}

const [directory, text] = process.argv.slice(2);
const streams = Number(text);
const figures = { streams, ...(await filled(directory, streams)), ...(await openedAgain(directory)) };
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit();
