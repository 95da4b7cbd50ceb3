/**
 * What a log costs when it has grown: the same log when it has a tenth of its events, and when it has all of them. Appends and a scan, each
 * per event; opening it again, with its index there, as it was closed and after its writer was killed; making its index anew; and the state of a node at positions anywhere in a log of
 * steps, of which every one changes a row. Appends, scan and index are CPU time of the process, its threads included, which busy
 * neighbours do not change; opening is both, with the process that looks for damage, states are by the clock. Last, what a process takes
 * that has appended one event to each of many streams, and to a tenth of them: memory, and CPU time of such an append.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeStep, SnapshotStore, STEP, StreamFold } from "@millrace/engine";
import { openLmdbStore } from "@millrace/native";
import { benchContext } from "./bench-context.mjs";
import { median } from "./measure.mjs";
import { openLog } from "./open-log.mjs";

const EVENTS = 10_000_000;
const TENTH = 10;
const STATE_SHARE = 10;
const STREAM_SHARE = 10;
const STREAMS = 1024;
const EVENTS_PER_APPEND = 100;
const APPENDS_AT_ONCE = 40;
/** Events of which appending is measured, and scanning, at either size; at most half of the smaller one. */
const SAMPLE_MAX = 200_000;
const LAG_MAX = 200_000;
/** What the writer appends, faster than its index can follow, before it is killed. */
const KILLED_EVENTS = 100_000;
const TICK_MS = 10;
const STATES = 200;
const ROWS = 1000;
const STEPS_STREAM = "bench/node";
const PAYLOAD = Buffer.alloc(120, 7);

function eventOf(i) {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(i + 1, 0);
  return { id, type: `Type${i % 8}`, schemaVersion: 1, context: benchContext(id, id), payload: PAYLOAD };
}

/** @param appended called as soon as all is on disk, before the index has it */
export async function grow(log, to, appended = () => undefined) {
  const append = (from) => {
    const events = Array.from({ length: Math.min(EVENTS_PER_APPEND, to - from) }, (_, k) => eventOf(from + k));
    const stream = `order-${(from / EVENTS_PER_APPEND) % STREAMS}`;
    return log.append([{ stream, expected: "any", events }]);
  };
  for (let from = log.durableEnd; from < to; from += EVENTS_PER_APPEND * APPENDS_AT_ONCE) {
    const starts = Array.from({ length: APPENDS_AT_ONCE }, (_, k) => from + k * EVENTS_PER_APPEND);
    await Promise.all(starts.filter((start) => start < to).map(append));
    // A disk that is busy otherwise holds the index back, and then the log takes no more for a while.
    if (log.health.indexLag > LAG_MAX) await log.indexed();
  }
  appended();
  await log.indexed();
}

async function cpuNsOf(events, work) {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / events;
}

async function scan(log, sample) {
  let count = 0;
  for await (const events of log.read({ from: log.durableEnd - sample })) count += events.length;
  if (count !== sample) throw new Error(`${count} of ${sample} events were read`);
}

/** CPU time of this process and of the children that have ended, in ms. */
function cpuMs() {
  const times = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ").slice(11, 15);
  return times.reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
}

/** @param before what comes before each opening */
async function opening(directory, repeats, before = () => undefined) {
  const took = [];
  const cpu = [];
  for (let i = 0; i < repeats; i++) {
    before();
    const cpuMsBefore = cpuMs();
    const startedMs = performance.now();
    const { close } = await openLog(directory);
    took.push(performance.now() - startedMs);
    cpu.push(cpuMs() - cpuMsBefore);
    await close();
  }
  return { ms: median(took), cpuMs: median(cpu) };
}

/** Its index stays behind by what it had not come to. */
function killWriter(directory) {
  const script = new URL("./killed-writer.mjs", import.meta.url);
  const { signal } = spawnSync(process.execPath, [script.pathname, directory, String(KILLED_EVENTS)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (signal !== "SIGKILL") throw new Error("the writer was not killed");
}

/** The index from nothing, while the log is open; its store begins in a folder of its own. */
async function rebuilt(directory) {
  rmSync(join(directory, "index"), { recursive: true });
  const before = process.cpuUsage();
  const startedMs = performance.now();
  const { log, close } = await openLog(directory);
  await log.indexed();
  const ms = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(before);
  const events = log.durableEnd;
  await close();
  return { perSecond: (events * 1000) / ms, cpuNs: ((user + system) * 1000) / events };
}

/** What a log of this many events costs. It is there already up to a sample of events. */
async function costs(directory, events, sample, repeats) {
  const { log, close } = await openLog(directory);
  await grow(log, events - sample);
  const appendCpuNs = await cpuNsOf(sample, () => grow(log, events));
  const scanned = [];
  for (let i = 0; i < repeats; i++) scanned.push(await cpuNsOf(sample, () => scan(log, sample)));
  await close();
  const opened = await opening(directory, repeats);
  const killed = await opening(directory, repeats, () => killWriter(directory));
  const { perSecond, cpuNs } = await rebuilt(directory);
  return {
    events,
    appendCpuNs,
    scanCpuNs: median(scanned),
    openMs: opened.ms,
    openCpuMs: opened.cpuMs,
    openKilledMs: killed.ms,
    openKilledCpuMs: killed.cpuMs,
    rebuiltPerSecond: perSecond,
    rebuildCpuNs: cpuNs,
  };
}

/** Rows by key, as a projection sink has them. */
function tableOfRows() {
  const rows = new Map();
  return {
    seal() {},
    fold: ([key, value]) => void rows.set(key, value),
    snapshot: () => [...rows],
    restore(taken) {
      rows.clear();
      for (const [key, value] of taken) rows.set(key, value);
    },
    rows,
  };
}

function stepOf(i) {
  const nothing = { inputs: [], opened: [], recorded: [], emitted: [], dead: [], dropped: [] };
  const state = [[`key-${(i * 7919) % ROWS}`, i]];
  const payload = encodeStep({ at: i, ...nothing, state, out: { watermark: i, idle: false } });
  return { ...eventOf(i), type: STEP, context: { ...eventOf(i).context, graphRevision: 1 }, payload };
}

/** How long the state at a position takes, in ms, at positions drawn all over the log. */
async function stateTimes(directory, steps) {
  const { log, close } = await openLog(directory);
  const store = await openLmdbStore({ dir: join(directory, "snapshots") });
  const snapshots = new SnapshotStore(store, log);
  for (let from = log.durableEnd; from < steps; from += EVENTS_PER_APPEND * APPENDS_AT_ONCE) {
    const batch = Array.from({ length: EVENTS_PER_APPEND * APPENDS_AT_ONCE }, (_, k) => stepOf(from + k));
    await log.append([{ stream: STEPS_STREAM, expected: "any", events: batch }]);
  }
  await log.indexed();
  const state = async (end) => {
    const behavior = tableOfRows();
    const options = { log, stream: STEPS_STREAM, behavior, snapshots, codeVersion: "1", stateSince: 0 };
    const fold = new StreamFold({ ...options, leavesSnapshots: true });
    const startedMs = performance.now();
    await fold.restore(end);
    await fold.foldTail(end);
    const ms = performance.now() - startedMs;
    if (fold.chain.steps !== end) throw new Error(`the state at ${end} has ${fold.chain.steps} steps`);
    return ms;
  };
  const firstMs = await state(log.durableEnd);
  const times = [];
  for (let i = 0; i < STATES; i++) times.push(await state(1 + ((i * 7_368_787) % (steps - 1))));
  await store.close();
  await close();
  times.sort((a, b) => a - b);
  return { steps, firstMs, medianMs: median(times), p95Ms: times[Math.floor(STATES * 0.95)] };
}

/** In a process of its own, that has done nothing else. */
function manyStreams(streams) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-log-size-"));
  try {
    const script = new URL("./many-streams.mjs", import.meta.url);
    const { stdout, status } = spawnSync(
      process.execPath,
      ["--expose-gc", script.pathname, directory, String(streams)],
      { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`appending to ${streams} streams ended with ${status}`);
    return JSON.parse(stdout);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const rounded = (of) => Object.fromEntries(Object.entries(of).map(([name, value]) => [name, Number(value.toFixed(1))]));

/** @param {{ repeats?: number, events?: number }} options */
export async function main({ repeats = 5, events = EVENTS } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-log-size-"));
  const states = mkdtempSync(join(tmpdir(), "millrace-log-size-"));
  try {
    const sample = Math.min(SAMPLE_MAX, events / TENTH / 2);
    const small = await costs(directory, events / TENTH, sample, repeats);
    const large = await costs(directory, events, sample, repeats);
    const state = await stateTimes(states, events / STATE_SHARE);
    const fewStreams = manyStreams(events / STREAM_SHARE / TENTH);
    const streams = manyStreams(events / STREAM_SHARE);
    const of = (name) => Number((large[name] / small[name]).toFixed(2));
    const ratios = {
      append: of("appendCpuNs"),
      scan: of("scanCpuNs"),
      open: of("openCpuMs"),
      openKilled: of("openKilledCpuMs"),
      rebuild: of("rebuildCpuNs"),
      newStream: Number((streams.appendCpuNs / fewStreams.appendCpuNs).toFixed(2)),
      streamsHeap: Number((streams.heapMib / fewStreams.heapMib).toFixed(2)),
    };
    return {
      small: rounded(small),
      large: rounded(large),
      state: rounded(state),
      fewStreams: rounded(fewStreams),
      streams: rounded(streams),
      ratios,
    };
  } finally {
    rmSync(directory, { recursive: true });
    rmSync(states, { recursive: true });
  }
}
