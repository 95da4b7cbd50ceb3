/** The flights demo as a process that may be killed, and what it leaves behind. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, createReadStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ops = join(import.meta.dirname, "..", "..");
const cli = join(ops, "dist-cli", "millrace.js");

export const DEMO = join(ops, "examples", "flights", "graph.yaml");

/** Copies the demo with the first `rows` flights into a directory; returns its graph file. */
export async function sliceDemo(directory, rows) {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  mkdirSync(directory, { recursive: true });
  const data = join(dirname(fileURLToPath(import.meta.resolve("vega-datasets"))), "..", "data");
  const quoted = (path) => `'${path.replaceAll("'", "''")}'`;
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const from = quoted(join(data, "flights-3m.parquet"));
  const to = quoted(join(directory, "flights.parquet"));
  await connection.run(`copy (select * from ${from} limit ${rows}) to ${to} (format parquet, compression zstd)`);
  connection.closeSync();
  copyFileSync(join(data, "airports.csv"), join(directory, "airports.csv"));
  copyFileSync(join(dirname(DEMO), "score.ts"), join(directory, "score.ts"));
  const text = readFileSync(DEMO, "utf8")
    .replace(/file:\S*flights-3m\.parquet/, "file:./flights.parquet")
    .replace(/file:\S*airports\.csv/, "file:./airports.csv");
  const graph = join(directory, "graph.yaml");
  writeFileSync(graph, text);
  return graph;
}

/** Starts `run --until-done`; `exited` resolves with how it ended. `more`: further options. */
export function startDemo(graph, data, more = []) {
  const args = [cli, "run", graph, "--until-done", "--json", "--data", data, ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
    });
  }
  return { child, exited: once(child, "exit").then(([code, signal]) => ({ code, signal, output })) };
}

/** Runs the demo from where `data` is to its end. */
export async function finishDemo(graph, data) {
  const { code, output } = await startDemo(graph, data).exited;
  if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
}

/**
 * The bytes of the sink's file and the rows of the projection, as hashes; whether the log is what was signed. `fileData`: data
 * directory of the host that the file is on, if it is another one.
 */
export async function resultOf(data, fileData = data) {
  const file = await fileHash(join(fileData, "out", "departures.ndjson"));
  const audits = [...new Set([data, fileData])].map(auditOf);
  return { file, ...(await projectionHash(data)), audit: audits.find((audit) => audit !== "whole") ?? "whole" };
}

/** What is different, in words. */
export function differencesOf(actual, expected, name) {
  const differences = [];
  if (actual.file !== expected.file) differences.push(`${name}: the sink's file differs`);
  if (actual.audit !== "whole") differences.push(`${name}: ${actual.audit}`);
  if (actual.projection !== expected.projection) differences.push(`${name}: the projection differs`);
  return differences;
}

/** "whole", or what is wrong. */
function auditOf(data) {
  const args = [cli, "audit", "verify", "--json", "--data", data];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (stdout === "") return stderr;
  const { ok, verified, findings } = JSON.parse(stdout);
  return ok && verified > 0 ? "whole" : JSON.stringify(findings);
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

/** A seeded source of numbers in `[0, 1)` (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
