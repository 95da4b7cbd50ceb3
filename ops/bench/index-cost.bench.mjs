/**
 * What the index of the log costs per event: a log is written once, then indexed from nothing again and again. Events of streams that
 * have a category (`order-17`) against the same events of streams that have none (`order17`): the difference is what the list of
 * a category costs. LMDB; time of the processor, not of
 * the clock, because the disk has its own moods; interleaved, medians of the repeats.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { systemEnv } from "@millrace/engine";
import { median } from "./measure.mjs";

const EVENTS = 100_000;
const EVENTS_PER_APPEND = 20;
const STREAMS = 1024;
const env = systemEnv();

async function loaded(root) {
  const of = (name, path) => (root === undefined ? `@millrace/${name}` : pathToFileURL(join(root, path)).href);
  const { openEmbeddedLog, systemDisk } = await import(of("streams/embedded", "streams/dist/embedded/mod.js"));
  const { openLmdbStore, nativeBlocks } = await import(of("native", "native/dist/mod.js"));
  return { name: root ?? "this build", openEmbeddedLog, systemDisk, openLmdbStore, nativeBlocks };
}

async function open({ openEmbeddedLog, systemDisk, openLmdbStore, nativeBlocks }, log, index) {
  const indexStore = await openLmdbStore({ dir: index });
  const opened = await openEmbeddedLog({
    directory: log,
    disk: systemDisk(),
    env,
    indexStore,
    kernels: nativeBlocks(),
  });
  return { opened, close: () => opened.close().then(() => indexStore.close()) };
}

async function write(build, log, streamOf) {
  const { opened, close } = await open(build, log, `${log}-index`);
  const payload = Buffer.alloc(150, 1);
  for (let i = 0; i < EVENTS; i += EVENTS_PER_APPEND) {
    const events = Array.from({ length: EVENTS_PER_APPEND }, (_, k) => eventOf(i + k, payload));
    await opened.append([{ stream: streamOf((i / EVENTS_PER_APPEND) % STREAMS), expected: "any", events }]);
  }
  await opened.indexed();
  await close();
  return log;
}

function eventOf(i, payload) {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i + 1, 0);
  const correlationId = Buffer.alloc(16);
  correlationId.writeUInt32BE(Math.floor(i / EVENTS_PER_APPEND) + 1, 0);
  const context = {
    causationId: id,
    correlationId,
    principal: "bench",
    tenant: "",
    codeVersion: "1",
    graph: "",
    graphRevision: 0,
    node: "",
    epoch: 0,
  };
  return { id, type: `Type${i % 8}`, schemaVersion: 1, context, payload };
}

/** `roots`: folders of other builds, which index the same logs for comparison. */
export async function main({ repeats = 7, roots = [] }) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-index-"));
  try {
    const builds = await Promise.all([undefined, ...roots].map(loaded));
    const logs = {
      withCategory: await write(builds[0], join(directory, "with"), (s) => `order-${s}`),
      withoutCategory: await write(builds[0], join(directory, "without"), (s) => `order${s}`),
    };
    const times = {};
    let drawn = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const build of builds) {
        for (const [streams, log] of Object.entries(logs)) {
          const key = build === builds[0] ? streams : `${build.name} ${streams}`;
          times[key] ??= [];
          times[key].push(await indexed(build, log, join(directory, `index-${drawn++}`)));
        }
      }
    }
    return Object.fromEntries(
      Object.entries(times).map(([key, all]) => [`${key}CpuNsPerEvent`, Math.round(median(all))]),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function indexed(build, log, index) {
  const before = process.cpuUsage();
  const { opened, close } = await open(build, log, index);
  await opened.indexed();
  const { user, system } = process.cpuUsage(before);
  await close();
  return ((user + system) * 1000) / EVENTS;
}
