/**
 * One graph in several engines over one Kafka: topic, parse, filter, map, a window of ten seconds for each key, topic. Each runs in
 * a process of its own, on what the topic already holds; then once more while half of what it can comes in. What it writes is
 * compared with what must come out before anything is reported of it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../measure.mjs";
import { STREAMS_CLASSPATH } from "./peers.mjs";
import { expectedWindows, makeTrades, QTY_MIN, WATERMARK_MS, WINDOW_MS, writeTrades } from "./trades.mjs";

const { Kafka, logLevel } = createRequire(import.meta.resolve("@millrace/streams/kafka"))("kafkajs");
const ops = join(import.meta.dirname, "..", "..");
/** How long an engine may take to write all. */
const PATIENCE_MS = 300_000;
const LOOK_MS = 100;
/** What an engine that waits for input gets to be ready. */
const READY_MS = 8000;
const PACED_SECONDS = 15;
/** The part of a paced run in which compilers and caches settle. */
const SETTLING = 1 / 3;

/**
 * Program, arguments and environment of an engine. `isLive`: it waits for more at the end of the topic.
 *
 * @type {Record<string, (run: { address: string, from: string, to: string, folder: string, isLive: boolean }) => [string, string[], object?]>}
 */
const COMMANDS = {
  millrace({ address, from, to, folder, isLive }) {
    const graph = join(folder, "graph.yaml");
    writeFileSync(
      graph,
      `name: ${to}
nodes:
  trades:  { kind: source, from: "kafka://${address}/${from}${isLive ? "" : "?until=now"}", time: at, watermark: ${WATERMARK_MS}ms }
  large:   { kind: filter, input: trades, where: "event.qty >= ${QTY_MIN}" }
  valued:  { kind: map, input: large, set: { value: "event.price * event.qty" } }
  windows:
    kind: window
    input: valued
    tumbling: ${WINDOW_MS}ms
    by: { symbol: event.symbol }
    compute: { n: count(), sum: sum(event.value), low: min(event.price), high: max(event.price) }
  out:     { kind: sink, input: windows, to: "kafka://${address}/${to}", key: [symbol] }
`,
    );
    const cli = join(ops, "dist", "cli", "main.js");
    const until = isLive ? ["--port", "0"] : ["--until-done"];
    return [process.execPath, [cli, "run", graph, ...until, "--data", join(folder, "data")]];
  },
  kafkaStreamsEos: ({ address, from, to, folder }) => [
    "java",
    [
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-cp",
      STREAMS_CLASSPATH,
      "millrace.bench.TradeWindows",
      address,
      from,
      to,
      join(folder, "state"),
    ],
  ],
};

/** A broker with the topics of the bench. */
class Topics {
  #kafka;
  #admin;
  #address;
  #count = 0;

  static async connect(address) {
    const topics = new Topics();
    topics.#address = address;
    topics.#kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
    topics.#admin = topics.#kafka.admin();
    await topics.#admin.connect();
    return topics;
  }

  get address() {
    return this.#address;
  }

  close() {
    return this.#admin.disconnect();
  }

  /** A topic of one partition; `isStamped`: the broker says when each message came. */
  async make(isStamped) {
    const topic = `t${++this.#count}`;
    const configEntries = isStamped ? [{ name: "message.timestamp.type", value: "LogAppendTime" }] : [];
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] });
    return topic;
  }

  /** Calls back with every committed message of a topic; returns how to stop that. */
  async read(topic, take) {
    const consumer = this.#kafka.consumer({ groupId: `read-${topic}`, maxWaitTimeInMs: LOOK_MS });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachBatch: async ({ batch }) => {
        for (const { value, timestamp } of batch.messages) take(JSON.parse(String(value)), Number(timestamp));
      },
    });
    return () => consumer.disconnect();
  }

  /** Sends a file of trades; when which of them left, by index, in steps. */
  async send(topic, file, rate) {
    const args = [
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-cp",
      STREAMS_CLASSPATH,
      "millrace.bench.Load",
      this.#address,
      topic,
      file,
    ];
    const child = spawn("java", [...args, String(rate)], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`the load ended with ${code}`);
    const steps = said
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number));
    const each = steps.length > 1 ? steps[1][0] : 1;
    return (index) => steps[Math.floor(index / each)]?.[1] ?? Number.NaN;
  }
}

/** A process that runs the graph, with what it took so far. */
class EngineRun {
  #child;
  #watch;
  #output = "";
  usage = { cpuSeconds: 0, rssMiB: 0 };

  constructor([program, args, env = {}]) {
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on("data", (text) => {
        this.#output = (this.#output + text).slice(-2000);
      });
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Throws if the program ended, and not well. */
  check() {
    const { exitCode, signalCode } = this.#child;
    if (exitCode > 0 || signalCode !== null)
      throw new Error(`it ended with ${exitCode ?? signalCode}: ${this.#output}`);
  }

  async stop() {
    this.#look();
    clearInterval(this.#watch);
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Linux counts for us. */
  #look() {
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ").at(-1).split(" ");
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
      this.usage = { cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100, rssMiB: Math.round(Number(peak) / 1024) };
    } catch {
      // It has ended; what it took stands.
    }
  }
}

/** Collects rows until all are there; throws at once where one is wrong. */
function rowsAwaited({ rows }) {
  const left = new Map(rows);
  /** When each row came, by the start of its window. */
  const came = [];
  return {
    came,
    get isWhole() {
      return left.size === 0;
    },
    get missing() {
      return left.size;
    },
    take({ symbol, window_start, n, sum, low, high }, atMs) {
      const startMs = Date.parse(window_start);
      const key = `${symbol} ${startMs}`;
      const wanted = rows.get(key);
      if (wanted === undefined) return;
      const isSame = wanted.n === n && wanted.sum === sum && wanted.low === low && wanted.high === high;
      if (!isSame) throw new Error(`${key}: ${JSON.stringify({ n, sum, low, high })} is not ${JSON.stringify(wanted)}`);
      if (left.delete(key)) came.push({ startMs, atMs });
    },
  };
}

/** Runs an engine until it has written all; `feed` sends what is not there yet. */
async function runEngine(name, topics, from, expected, feed) {
  const folder = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), `millrace-${name}-`));
  const to = await topics.make(true);
  const awaited = rowsAwaited(expected);
  let failure;
  const stopReading = await topics.read(to, (row, atMs) => {
    try {
      awaited.take(row, atMs);
    } catch (error) {
      failure ??= error;
    }
  });
  const isLive = feed !== undefined;
  const run = new EngineRun(COMMANDS[name]({ address: topics.address, from, to, folder, isLive }));
  try {
    const sentAt = isLive ? await sleep(READY_MS).then(feed) : undefined;
    const until = performance.now() + PATIENCE_MS;
    while (!awaited.isWhole) {
      if (failure !== undefined) throw failure;
      run.check();
      if (performance.now() > until) throw new Error(`${awaited.missing} of ${expected.rows.size} rows have not come`);
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

/** Trades per second from the first window that closes to the last; so a start counts for nothing. */
function rateOf(came, { closedBy }) {
  const times = came.map(({ atMs }) => atMs);
  const [first, last] = [Math.min(...closedBy.values()), Math.max(...closedBy.values())];
  return ((last - first) * 1000) / (Math.max(...times) - Math.min(...times));
}

/** Ms from when the trade was sent that closes a window to when its row was there; the 99th percentile. */
function p99Of({ came, sentAt }, { closedBy }, n) {
  const late = came
    .map(({ startMs, atMs }) => ({ atMs, by: closedBy.get(startMs) }))
    .filter(({ by }) => by > n * SETTLING && by < n)
    .map(({ atMs, by }) => atMs - sentAt(by))
    .sort((a, b) => a - b);
  return late[Math.floor(late.length * 0.99)];
}

/** @param {{ address: string, names: readonly string[], trades: number, repeats: number }} options */
export async function compareEngines({ address, names, trades: n, repeats }) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-trades-"));
  const topics = await Topics.connect(address);
  try {
    const file = join(folder, "trades.tsv");
    const trades = makeTrades(n);
    writeTrades(file, trades);
    const expected = expectedWindows(trades);
    const from = await topics.make(false);
    await topics.send(from, file, 0);
    const runs = new Map(names.map((name) => [name, []]));
    for (let r = 0; r < repeats; r++)
      for (const name of names) runs.get(name).push(await runEngine(name, topics, from, expected));
    const figures = new Map();
    for (const name of names) {
      const rates = runs.get(name).map(({ came }) => rateOf(came, expected));
      const perSecond = median(rates);
      const cpu = median(runs.get(name).map(({ usage }) => usage.cpuSeconds));
      const paced = await atRate(name, topics, folder, perSecond / 2);
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
    await topics.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same while trades come in at a rate. */
async function atRate(name, topics, folder, rate) {
  const trades = makeTrades(Math.round(rate * PACED_SECONDS));
  const file = join(folder, `${name}.tsv`);
  writeTrades(file, trades);
  const from = await topics.make(false);
  const expected = expectedWindows(trades);
  const run = await runEngine(name, topics, from, expected, () => topics.send(from, file, rate));
  return { p99MsAtHalfRate: p99Of(run, expected, trades.length) };
}
