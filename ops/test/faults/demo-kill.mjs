/**
 * Kills the flights demo with SIGKILL at random moments of `run --until-done`, starts it again on the same data directory, and
 * compares what it has in the end with an uninterrupted run: the sink's file byte by byte, the projection row by row.
 *
 *   node ops/test/faults/demo-kill.mjs [kills = 200] [seed]
 *
 * Needs a build. The last line of stdout counts kills, finished runs and differences; the exit code is 1 if there is any.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ops = join(import.meta.dirname, "..", "..");
const cli = join(ops, "dist", "cli", "main.js");
const graph = join(ops, "examples", "flights", "graph.yaml");
/** Kills of one run: late ones meet state that earlier ones left behind. */
const KILLS_PER_RUN_MAX = 10;

/**
 * @param {{ kills: number, seed?: number, progress?: (line: string) => void }} options
 * @returns {Promise<{ kills: number, runs: number, differences: string[], rows: number, seed: number }>}
 */
export async function killDemo({ kills, seed = Date.now() % 1_000_000, progress = () => undefined }) {
  const root = mkdtempSync(join(tmpdir(), "millrace-kill-"));
  const random = mulberry32(seed);
  try {
    const started = performance.now();
    await finish(join(root, "reference"));
    const runMs = performance.now() - started;
    const expected = await resultOf(join(root, "reference"));
    const differences = [];
    let done = 0;
    let runs = 0;
    while (done < kills) {
      const data = join(root, `run-${runs++}`);
      const wanted = Math.min(kills - done, 1 + Math.floor(random() * KILLS_PER_RUN_MAX));
      for (let killed = 0; killed < wanted; ) {
        if (!(await killAfter(data, random() * runMs))) break;
        killed++;
        done++;
      }
      await finish(data);
      const actual = await resultOf(data);
      if (actual.file !== expected.file) differences.push(`run ${runs}: the sink's file differs`);
      if (actual.projection !== expected.projection) differences.push(`run ${runs}: the projection differs`);
      progress(`${done} kills, ${runs} runs, ${differences.length} differences`);
      rmSync(data, { recursive: true, force: true });
    }
    return { kills: done, runs, differences, rows: expected.rows, seed };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function start(data) {
  const args = [cli, "run", graph, "--until-done", "--json", "--data", data];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  child.stderr.on("data", (text) => {
    output += text;
  });
  return { child, exited: once(child, "exit").then(([code, signal]) => ({ code, signal, output })) };
}

/** True if the process was killed, false if it had ended before. */
async function killAfter(data, delayMs) {
  const { child, exited } = start(data);
  const timer = setTimeout(() => child.kill("SIGKILL"), delayMs);
  const { code, signal, output } = await exited;
  clearTimeout(timer);
  if (signal === "SIGKILL") return true;
  if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
  return false;
}

async function finish(data) {
  const { code, output } = await start(data).exited;
  if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
}

async function resultOf(data) {
  return { file: await fileHash(join(data, "out", "departures.ndjson")), ...(await projectionHash(data)) };
}

async function fileHash(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

async function projectionHash(data) {
  const { openStopped } = await import("../../dist/cli/stopped-server.js");
  const { app, close } = await openStopped(data);
  try {
    const hash = createHash("sha256");
    let rows = 0;
    for (let cursor = ""; cursor !== null; ) {
      const answer = await app.inject(
        `/api/v1/projections/departures?limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`,
      );
      const page = answer.json();
      rows += page.rows.length;
      hash.update(JSON.stringify(page.rows));
      cursor = page.next;
    }
    return { projection: hash.digest("hex"), rows };
  } finally {
    await close();
  }
}

function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kills = "200", seed] = process.argv.slice(2);
  const progress = (line) => process.stderr.write(`${line}\n`);
  const result = await killDemo({
    kills: Number(kills),
    progress,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
  for (const difference of result.differences) process.stderr.write(`${difference}\n`);
  console.log(
    `demo-kill: ${result.kills} kills in ${result.runs} runs of ${result.rows} rows, ${result.differences.length} differences, seed ${result.seed}`,
  );
  process.exitCode = result.differences.length === 0 ? 0 : 1;
}
