/**
 * One graph in several engines over one Kafka. Each runs in a process of its own, on what the topic already holds; then once more
 * while half of what it can comes in. What it writes is compared with what must come out before anything is reported of it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { median } from "../measure.mjs";
import { EngineRun } from "./engine-run.mjs";
import { makeTrades, writeTrades } from "./trades.mjs";

/** How long an engine may take to write all. */
const PATIENCE_MS = 300_000;
const LOOK_MS = 100;
/** What an engine that waits for input gets to be ready. */
const READY_MS = 8000;
const PACED_SECONDS = 15;
/** The part of a paced run in which compilers and caches settle. */
const SETTLING = 1 / 3;

/** Collects rows until all are there; throws at once where one is wrong. */
function rowsAwaited({ keyOf, fieldsOf }, expected) {
  const left = new Map(expected);
  /** When each row came, and the index of the trade by which it could. */
  const came = [];
  return {
    came,
    get isWhole() {
      return left.size === 0;
    },
    get missing() {
      return left.size;
    },
    take(row, atMs) {
      const key = keyOf(row);
      const wanted = expected.get(key);
      if (wanted === undefined) return;
      const value = fieldsOf(row);
      if (!isDeepStrictEqual(value, wanted.value))
        throw new Error(`${key}: ${JSON.stringify(value)} is not ${JSON.stringify(wanted.value)}`);
      if (left.delete(key)) came.push({ by: wanted.by, atMs });
    },
  };
}

/** Runs an engine until it has written all; `feed` sends what is not there yet. */
async function runEngine({ graph, name, topics }, from, expected, feed) {
  const folder = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), `millrace-${name}-`));
  const to = await topics.make(true);
  const awaited = rowsAwaited(graph, expected);
  let failure;
  const stopReading = await topics.read(to, (row, atMs) => {
    try {
      awaited.take(row, atMs);
    } catch (error) {
      failure ??= error;
    }
  });
  const isLive = feed !== undefined;
  const run = new EngineRun(graph.commands[name]({ address: topics.address, from, to, folder, isLive }));
  try {
    const sentAt = isLive ? await sleep(READY_MS).then(feed) : undefined;
    const until = performance.now() + PATIENCE_MS;
    while (!awaited.isWhole) {
      if (failure !== undefined) throw failure;
      run.check();
      if (performance.now() > until) throw new Error(`${awaited.missing} of ${expected.size} rows have not come`);
      await sleep(LOOK_MS);
    }
    return { came: awaited.came, usage: run.usage, sentAt };
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  } finally {
    await run.stop();
    await stopReading();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Trades per second from the first row to the last; so a start counts for nothing. */
function rateOf(came) {
  const range = (values) =>
    values.reduce((max, each) => Math.max(max, each)) - values.reduce((min, each) => Math.min(min, each));
  return (range(came.map(({ by }) => by)) * 1000) / range(came.map(({ atMs }) => atMs));
}

/** Ms from when the trade was sent by which a row could come to when it was there; the 99th percentile. */
function p99Of({ came, sentAt }, n) {
  const late = came
    .filter(({ by }) => by > n * SETTLING && by < n)
    .map(({ atMs, by }) => atMs - sentAt(by))
    .sort((a, b) => a - b);
  return late[Math.floor(late.length * 0.99)];
}

/**
 * What each engine does with a number of trades.
 *
 * @param {{ topics: object, graph: object, trades: number, repeats: number }} options
 */
export async function compareEngines({ topics, graph, trades: n, repeats }) {
  const names = Object.keys(graph.commands);
  const folder = mkdtempSync(join(tmpdir(), "millrace-trades-"));
  try {
    const file = join(folder, "trades.tsv");
    const trades = makeTrades(n);
    writeTrades(file, trades);
    const expected = graph.expected(trades);
    const from = await topics.make(false);
    await topics.send(from, file, 0);
    const runs = new Map(names.map((name) => [name, []]));
    for (let r = 0; r < repeats; r++)
      for (const name of names) runs.get(name).push(await runEngine({ graph, name, topics }, from, expected));
    const figures = new Map();
    for (const name of names) {
      const rates = runs.get(name).map(({ came }) => rateOf(came));
      const perSecond = median(rates);
      const cpu = median(runs.get(name).map(({ usage }) => usage.cpuSeconds));
      const paced = graph.bounded.includes(name) ? {} : await atRate({ graph, name, topics }, folder, perSecond / 2);
      figures.set(name, {
        perSecond: Math.round(perSecond),
        range: [Math.round(Math.min(...rates)), Math.round(Math.max(...rates))],
        cpuSecondsPerMillion: Number(((cpu * 1e6) / n).toPrecision(3)),
        rssMiB: median(runs.get(name).map(({ usage }) => usage.rssMiB)),
        ...paced,
      });
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same while trades come in at a rate. */
async function atRate(engine, folder, rate) {
  const trades = makeTrades(Math.round(rate * PACED_SECONDS));
  const file = join(folder, `${engine.name}.tsv`);
  writeTrades(file, trades);
  const from = await engine.topics.make(false);
  const run = await runEngine(engine, from, engine.graph.expected(trades), () => engine.topics.send(from, file, rate));
  return { p99MsAtHalfRate: p99Of(run, trades.length) };
}
