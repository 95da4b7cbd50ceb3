/**
 * What a calculator that does what no calculator should costs those beside it. One host runs two graphs that score real flights at a fixed
 * rate, each in a calculator of its own; in the second of them is a hostile calculator too, which gets a row ten times a second. The
 * rows per second that each of the two delivers while it is hostile, of those while it is good, in turns on the same host:
 *
 * - `ratios` by kind: the lowest of all its forms; `thread` and `process` by where the hostile calculator runs (a segmentation fault or an
 *   abort ends a whole process, so those are for a process alone), `otherGraph` and `sameGraph` by which neighbour it is
 * - the rate is such that the neighbours, with everything of the host that serves them, take `SHARE` of one core while nothing is wrong; how much
 *   they took is printed. What loops takes another core as long as it is let. So on a machine of two cores nobody has to go short, and
 *   a ratio below one is what the host lets the hostile calculator take
 * - `latencyMs` is the 99th percentile of arrival to durable of the neighbour in another graph, good and hostile
 *
 * Ends with 1 when a ratio is below `LEAST`. A calculator that was not contained and counted as it should be is an error.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { median } from "./measure.mjs";
import { calculatorFile, KINDS, PASSES } from "./neighbours/hostile.mjs";

const LEAST = 0.8;
/** Of a core. */
const SHARE = 0.5;
/** To find out what a row costs. */
const TRIAL_RATE = 4000;
const SETTLE_MS = 2500;
const ACCOUNTS_MS = 20_000;
const CLI = fileURLToPath(new URL("../dist-cli/millrace.js", import.meta.url));
const FLIGHTS = new URL("./neighbours/paced-flights.mjs", import.meta.url).href;

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const neighbour = (rate) => `  flights: { kind: source, from: "custom:./flights.mjs?rate=${rate}" }
  scored: { kind: calculator, input: flights, use: ./score.mjs }
  out: { kind: sink, input: scored, to: "discard:" }
`;

const SCORE = `export default ({ date, delay, distance, origin, destination }) =>
  ({ date, origin, destination, score: Math.min(100, delay * 0.5 + distance * 0.01) });
`;

function filesOf({ rate, isolation, kind, flag }) {
  const [name, text] = calculatorFile(isolation, kind, flag);
  const half = Math.round(rate / 2);
  const hostile = `  ticks: { kind: source, from: "metronome:100ms" }
  hostile: { kind: calculator, input: ticks, use: ./${name}, deadline: 200ms, limits: { memoryMib: 64 } }
  sunk: { kind: sink, input: hostile, to: "discard:" }
`;
  return {
    "neighbour.yaml": `name: neighbour\nnodes:\n${neighbour(half)}`,
    "mixed.yaml": `name: mixed\nnodes:\n${neighbour(half)}${hostile}`,
    "flights.mjs": `export { source } from ${JSON.stringify(FLIGHTS)};\n`,
    "score.mjs": SCORE,
    [name]: text,
  };
}

/** A host with its two graphs, in a process of its own. */
class Host {
  #folder = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), "millrace-neighbours-"));
  #flag = join(this.#folder, "FLAG");
  #child;
  #url;

  async start(setup) {
    for (const [name, text] of Object.entries(filesOf({ ...setup, flag: this.#flag })))
      writeFileSync(join(this.#folder, name), text);
    mkdirSync(join(this.#folder, "data"));
    const args = [CLI, "serve", "neighbour.yaml", "mixed.yaml", "--port", "0", "--json", "--data", "data"];
    this.#child = spawn(process.execPath, args, { cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] });
    // Whatever a calculator prints is read: a host must not wait for us.
    this.#child.stderr.resume();
    this.#url = await new Promise((resolve, reject) => {
      createInterface({ input: this.#child.stdout }).on("line", (line) => {
        if (line.startsWith('{"url"')) resolve(JSON.parse(line).url);
      });
      this.#child.once("exit", (code) => reject(new Error(`the host ended with ${code}`)));
    });
  }

  setHostile(is) {
    if (is) writeFileSync(this.#flag, "");
    else rmSync(this.#flag, { force: true });
  }

  async #status(graph) {
    return (await fetch(`${this.#url}/api/v1/graphs/${graph}`)).json();
  }

  async seen() {
    const [neighbour, mixed] = [await this.#status("neighbour"), await this.#status("mixed")];
    const node = (name) => mixed.nodes.find((one) => one.node === name);
    const hostile = node("hostile");
    return {
      atMs: performance.now(),
      otherGraph: neighbour.messagesOut,
      sameGraph: node("out").consumed,
      latencyMs: neighbour.commitP99Ms ?? 0,
      cpuMs: this.#cpuMs(),
      deadLetters: hostile.deadLettered,
      lost: hostile.details?.failures ?? 0,
    };
  }

  /** What became of the hostile calculator's rows since: its last step is over once it is good. */
  async accounts(before) {
    this.setHostile(false);
    for (let waitedMs = 0; ; waitedMs += SETTLE_MS) {
      await after(SETTLE_MS);
      const { deadLetters, lost } = await this.seen();
      const became = { deadLetters: deadLetters - before.deadLetters, lost: lost - before.lost };
      if (became.deadLetters > 0 || waitedMs >= ACCOUNTS_MS) return became;
    }
  }

  /** Of the host's process; what runs in others is not in it. */
  #cpuMs() {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  async stop() {
    if (this.#child?.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once("close", resolve));
      this.#child.kill("SIGTERM");
      await Promise.race([ended, after(10_000)]);
      this.#child.kill("SIGKILL");
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function windowOf(host, ms) {
  const before = await host.seen();
  await after(ms);
  const end = await host.seen();
  const seconds = (end.atMs - before.atMs) / 1000;
  const per = (figure) => (end[figure] - before[figure]) / seconds;
  return {
    otherGraph: per("otherGraph"),
    sameGraph: per("sameGraph"),
    core: per("cpuMs") / 1000,
    latencyMs: end.latencyMs,
  };
}

/** Rows per second for which a host's process takes `SHARE` of a core. */
async function rateOf(windowMs) {
  const host = new Host();
  try {
    await host.start({ rate: TRIAL_RATE, isolation: "thread", kind: "loops" });
    await after(2 * SETTLE_MS);
    const { core, otherGraph, sameGraph } = await windowOf(host, windowMs);
    return Math.round(((otherGraph + sameGraph) * SHARE) / core / 100) * 100;
  } finally {
    await host.stop();
  }
}

async function measured(setup, repeats, windowMs) {
  const host = new Host();
  const windows = { good: [], hostile: [] };
  try {
    await host.start(setup);
    await after(SETTLE_MS);
    const before = await host.seen();
    for (let turn = 0; turn < repeats; turn++) {
      for (const which of ["good", "hostile"]) {
        host.setHostile(which === "hostile");
        await after(SETTLE_MS);
        windows[which].push(await windowOf(host, windowMs));
      }
    }
    return { ...windows, became: await host.accounts(before) };
  } finally {
    await host.stop();
  }
}

function figuresOf({ good, hostile, became }) {
  const ratio = (who) => Number(median(hostile.map((window, turn) => window[who] / good[turn][who])).toFixed(3));
  const medianOf = (windows, figure) => Number(median(windows.map((window) => window[figure])).toFixed(3));
  return {
    otherGraph: ratio("otherGraph"),
    sameGraph: ratio("sameGraph"),
    latencyMs: { good: medianOf(good, "latencyMs"), hostile: medianOf(hostile, "latencyMs") },
    core: { good: medianOf(good, "core"), hostile: medianOf(hostile, "core") },
    ...became,
  };
}

/** It did what it is there for, and what became of it was counted. */
function check(name, { deadLetters, lost }) {
  const isCounted = deadLetters > 0 && lost > 0;
  if (isCounted === PASSES.has(name)) throw new Error(`${name}: ${deadLetters} dead letters, ${lost} times ended`);
}

function line(name, { otherGraph, sameGraph, latencyMs, core, deadLetters, lost }) {
  const ratios = `×${otherGraph.toFixed(3)} in another graph, ×${sameGraph.toFixed(3)} in its own`;
  const cost = `p99 ${latencyMs.good.toFixed(0)} then ${latencyMs.hostile.toFixed(0)} ms, core ${core.good.toFixed(2)} then ${core.hostile.toFixed(2)}`;
  return `  ${name.padEnd(21)} ${ratios}   ${cost}   ${deadLetters} dead letters, ${lost} times ended\n`;
}

/** @param {{ repeats?: number, seconds?: number }} options turns, and the length of a window */
export async function main({ repeats = 3, seconds = 4 } = {}) {
  const rate = await rateOf(seconds * 1000);
  process.stdout.write(
    `neighbours   node ${process.version}, ${cpus().length} cores, ${rate} rows/s of two neighbours, medians of ${repeats} turns of ${seconds} s\n`,
  );
  const found = { thread: {}, process: {} };
  for (const isolation of Object.keys(found)) {
    for (const kind of Object.keys(KINDS[isolation])) {
      const name = `${isolation} ${kind}`;
      const figures = figuresOf(await measured({ rate, isolation, kind }, repeats, seconds * 1000));
      process.stdout.write(line(name, figures));
      check(name, figures);
      found[isolation][kind] = figures;
    }
  }
  const ratios = {};
  for (const of of Object.values(found))
    for (const [kind, { otherGraph, sameGraph }] of Object.entries(of))
      ratios[kind] = Math.min(ratios[kind] ?? Number.POSITIVE_INFINITY, otherGraph, sameGraph);
  for (const [kind, ratio] of Object.entries(ratios)) {
    if (ratio >= LEAST) continue;
    process.stdout.write(`  ${kind}: ${ratio} is below ${LEAST}\n`);
    process.exitCode = 1;
  }
  return { ratios, rowsPerSecond: rate, ...found };
}
