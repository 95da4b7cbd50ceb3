/**
 * The flights graph end to end, durable: from the Parquet file and from memory, against the same logic as one hand-written loop
 * that keeps nothing; what logging the state costs; how fast the log replays; how long a row takes to become durable at a fixed
 * rate. Every run has a new data directory on the disk of `MILLRACE_BENCH_DIR` (default: the system's folder for temporary
 * files, if that is a disk).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GraphRuntime, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { parquetSource } from "@millrace/streams/file";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { flightsProgram, handWritten, loadFlights, memorySource, PARQUET } from "./flights.mjs";
import { median } from "./measure.mjs";

const ROWS_OUT = 198_419;
const RATE = 100_000;
const RATE_SECONDS = 10;
/** Until compilers and caches have settled; longer than the window of the latency figure. */
const WARM_SECONDS = 12;

async function inDirectory(run) {
  const directory = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), "millrace-flow-"));
  try {
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function openLog(directory, env) {
  return openEmbeddedLog({
    directory: join(directory, "log"),
    disk: systemDisk(),
    env,
    indexStore: memoryOrderedStore(),
  });
}

/** Runs the graph to its end; returns seconds of wall time and the final status. */
async function flow(directory, connector, options = {}) {
  const env = systemEnv();
  const log = await openLog(directory, env);
  const program = await flightsProgram(connector, { out: join(directory, "out.ndjson"), ...options });
  const runtime = new GraphRuntime(program, { env, log, host: "bench" });
  const started = performance.now();
  await runtime.start();
  await runtime.whenFinished;
  const seconds = (performance.now() - started) / 1000;
  const status = runtime.status();
  await runtime.stop();
  await log.close();
  return { seconds, status };
}

/** Runs the graph at a fixed rate; after a warm-up, the window's latency and the CPU time of the whole process. */
async function atRate(directory, connector) {
  const env = systemEnv();
  const log = await openLog(directory, env);
  const runtime = new GraphRuntime(await flightsProgram(connector, { out: join(directory, "out.ndjson") }), {
    env,
    log,
    host: "bench",
  });
  await runtime.start();
  await new Promise((resolve) => setTimeout(resolve, WARM_SECONDS * 1000));
  const before = process.cpuUsage();
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, (RATE_SECONDS - 1) * 1000));
  const used = process.cpuUsage(before);
  const seconds = (performance.now() - started) / 1000;
  const p99Ms = runtime.status().nodes.find((node) => node.node === "by-airport").commitP99Ms;
  await runtime.whenFinished;
  await runtime.stop();
  await log.close();
  return { p99Ms, cpuShare: Number(((used.user + used.system) / 1e6 / seconds).toFixed(3)) };
}

function checked({ seconds, status }, rowsOut = ROWS_OUT) {
  if (status.deadLettered + status.dropped > 0 || status.messagesOut !== 2 * rowsOut) {
    throw new Error(
      `${status.messagesOut} rows out, ${status.deadLettered} dead letters, ${status.dropped} dropped; expected ${2 * rowsOut} rows`,
    );
  }
  return seconds;
}

/** Recovers a finished run from its log: every node's stream is read, checked, decoded and folded. */
async function replay(directory, connector) {
  const env = systemEnv();
  const log = await openLog(directory, env);
  const runtime = new GraphRuntime(await flightsProgram(connector, { out: join(directory, "out.ndjson") }), {
    env,
    log,
    host: "bench",
  });
  const started = performance.now();
  await runtime.start();
  const seconds = (performance.now() - started) / 1000;
  await runtime.stop();
  await log.close();
  return seconds;
}

async function round(flights, times) {
  const note = (name, seconds) => times[name].push(seconds);
  globalThis.gc?.();
  await inDirectory(async (directory) => {
    const started = performance.now();
    const rows = handWritten(flights, join(directory, "hand.ndjson"));
    note("hand-written loop, nothing durable", (performance.now() - started) / 1000);
    if (rows !== ROWS_OUT) throw new Error(`the loop made ${rows} rows`);
  });
  globalThis.gc?.();
  await inDirectory(async (directory) => {
    note("from memory, durable", checked(await flow(directory, memorySource(flights))));
    globalThis.gc?.();
    note("replay of that log", await replay(directory, memorySource(flights)));
  });
  globalThis.gc?.();
  await inDirectory(async (directory) =>
    note("from memory, cursors only", checked(await flow(directory, memorySource(flights), { stateDelta: false }))),
  );
  globalThis.gc?.();
  await inDirectory(async (directory) =>
    note("from the Parquet file, durable", checked(await flow(directory, parquetSource({ path: PARQUET })))),
  );
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const flights = await loadFlights();
  // First, while the process has no other history.
  const paced = await inDirectory((directory) =>
    atRate(directory, memorySource(flights, { rate: RATE, seconds: WARM_SECONDS + RATE_SECONDS })),
  );
  const names = [
    "hand-written loop, nothing durable",
    "from memory, durable",
    "from memory, cursors only",
    "replay of that log",
    "from the Parquet file, durable",
  ];
  const discard = Object.fromEntries(names.map((name) => [name, []]));
  await round(flights, discard);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let r = 0; r < repeats; r++) await round(flights, times);
  const seconds = Object.fromEntries(names.map((name) => [name, median(times[name])]));
  const rate = (name) => Math.round(flights.n / seconds[name]);
  for (const name of names)
    process.stdout.write(
      `  ${name.padEnd(38)} ${(rate(name) / 1e6).toFixed(2).padStart(8)} M rows/s  [${times[name].map((s) => (flights.n / s / 1e6).toFixed(2)).join(" ")}]\n`,
    );
  const { p99Ms, cpuShare } = paced;
  process.stdout.write(
    `  at ${RATE} rows/s: p99 ${p99Ms.toFixed(1)} ms from arrival to durable, ${(cpuShare * 100).toFixed(0)} % of a core\n`,
  );
  const per = (a, b) => Number((seconds[b] / seconds[a]).toFixed(3));
  return {
    rowsPerSecond: rate("from the Parquet file, durable"),
    rowsPerSecondInMemory: rate("from memory, durable"),
    ratios: {
      handWrittenLoop: per("from memory, durable", "hand-written loop, nothing durable"),
      stateDelta: per("from memory, durable", "from memory, cursors only"),
      replay: per("replay of that log", "from memory, durable"),
    },
    p99MsAt100k: p99Ms,
    cpuShareAt100k: cpuShare,
  };
}
