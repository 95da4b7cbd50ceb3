/**
 * What the index of the log costs per event: a log is written once, then indexed from nothing again and again. Events of streams that
 * have a category (`order-17`) against the same events of streams that have none (`order17`): the difference is what the list of
 * a category costs, and the same events once more with two tags each. LMDB; time of the processor, not of
 * the clock, because the disk has its own moods; interleaved, medians of the repeats.
 *
 * And what the index is for: an append with a condition about tags, in a log of ten thousand events and, when it has grown, of a million.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CLIENT_SCHEMA, systemEnv } from "@millrace/engine";
import { benchContext } from "./bench-context.mjs";
import { median } from "./measure.mjs";

const EVENTS = 100_000;
const EVENTS_PER_APPEND = 20;
const STREAMS = 1024;
const SEATS = 20_000;
const DATA = Buffer.alloc(100, 1);
const CONDITIONS = 500;
const EVENTS_PER_FILLING = 1000;
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

async function write(build, log, streamOf, of = { schemaVersion: 1, payload: () => Buffer.alloc(150, 1) }) {
  const { opened, close } = await open(build, log, `${log}-index`);
  for (let i = 0; i < EVENTS; i += EVENTS_PER_APPEND) {
    const events = Array.from({ length: EVENTS_PER_APPEND }, (_, k) => eventOf(i + k, of));
    await opened.append([{ stream: streamOf((i / EVENTS_PER_APPEND) % STREAMS), expected: "any", events }]);
  }
  await opened.indexed();
  await close();
  return log;
}

/** A client's event with a tag of few others and one of many. */
const TAGGED = {
  schemaVersion: CLIENT_SCHEMA,
  payload: (i) => {
    const metadata = Buffer.from(JSON.stringify({ $tags: [`seat:${i % SEATS}`, `flight:${i % 40}`] }));
    return Buffer.concat([Buffer.of((7 << 3) | 2, metadata.length), metadata, Buffer.of((8 << 3) | 2, 100), DATA]);
  },
};

function eventOf(i, { schemaVersion, payload }) {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i + 1, 0);
  const correlationId = Buffer.alloc(16);
  correlationId.writeUInt32BE(Math.floor(i / EVENTS_PER_APPEND) + 1, 0);
  const context = benchContext(id, correlationId);
  return { id, type: `Type${i % 8}`, schemaVersion, context, payload: payload(i) };
}

/** `roots`: folders of other builds, which index the same logs for comparison. */
export async function main({ repeats = 7, roots = [] }) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-index-"));
  try {
    const builds = await Promise.all([undefined, ...roots].map(loaded));
    const logs = {
      withCategory: await write(builds[0], join(directory, "with"), (s) => `order-${s}`),
      withoutCategory: await write(builds[0], join(directory, "without"), (s) => `order${s}`),
      withTags: await write(builds[0], join(directory, "tagged"), (s) => `order-${s}`, TAGGED),
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
    const costs = Object.entries(times).map(([key, all]) => [`${key}CpuNsPerEvent`, Math.round(median(all))]);
    return { ...Object.fromEntries(costs), ...(await conditions(builds[0], join(directory, "conditions"), repeats)) };
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

/** Of another flight. */
function sealed(log) {
  return { ...eventOf(log.durableEnd * 40 + 8, TAGGED), type: "Sealed" };
}

/** Appends that nothing stands in the way of: nobody has the seat, and nothing of its type is about the flight. */
async function conditions(build, log, repeats) {
  const { opened, close } = await open(build, log, `${log}-index`);
  const small = await conditionCost(opened, 10_000, repeats);
  const large = await conditionCost(opened, 1_000_000, repeats);
  await close();
  const [at10k, at1m] = [small, large].map((ns) => Math.round(ns / 1000));
  return { conditionAt10kCpuUs: at10k, conditionAt1MCpuUs: at1m, conditionRatio: Number((large / small).toFixed(2)) };
}

async function conditionCost(log, events, repeats) {
  while (log.durableEnd < events) {
    const from = log.durableEnd;
    const filling = Array.from({ length: EVENTS_PER_FILLING }, (_, k) => eventOf(from + k, TAGGED));
    await log.append([{ stream: `order-${from % STREAMS}`, expected: "any", events: filling }]);
  }
  await log.append([{ stream: "seals", expected: "any", events: [sealed(log)] }]);
  await log.indexed();
  const costs = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const before = process.cpuUsage();
    for (let i = 0; i < CONDITIONS; i++) {
      const none = [{ tags: [`seat:new-${i}`] }, { tags: ["flight:7"], types: ["Sealed"] }];
      const event = { ...eventOf(log.durableEnd, TAGGED), type: "Booked" };
      await log.appendIf({ none, after: -1 }, [{ stream: "bookings", expected: "any", events: [event] }]);
    }
    const { user, system } = process.cpuUsage(before);
    costs.push(((user + system) * 1000) / CONDITIONS);
    await log.indexed();
  }
  return median(costs);
}
