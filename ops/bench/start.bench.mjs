/**
 * How long a newcomer waits: from `npm start` until the first page and its scripts are there and the demo's flights flow, in this
 * folder, which is built, and once in a fresh clone of its last commit, which is not.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../bin/setup.mjs";
import { median } from "./measure.mjs";

const LOOK_EVERY_MS = 20;

/** The page with all that it loads at once, and the flights on their way. */
async function isUsable(url) {
  const page = await (await fetch(url)).text();
  const assets = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  if (assets.length === 0) throw new Error(`no scripts in ${page}`);
  for (const path of assets) if (!(await fetch(new URL(path, url))).ok) throw new Error(`${path} is not there`);
  const { messagesIn } = await (await fetch(new URL("/api/v1/graphs/late-flights", url))).json();
  return messagesIn > 0;
}

/** Milliseconds from `npm start` in `directory` until its page is usable. */
async function firstPageMs(directory) {
  const data = mkdtempSync(join(tmpdir(), "millrace-start-"));
  const started = performance.now();
  const child = spawn("npm", ["start", "--", "--port", "0", "--json", "--data", data], {
    cwd: directory,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const url = await Promise.race([
      addressIn(child.stdout),
      ended.then((code) => Promise.reject(new Error(`npm start ended with ${code}`))),
    ]);
    while (!(await isUsable(url))) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    return performance.now() - started;
  } finally {
    // npm, and the server that it became.
    if (child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    await ended;
    rmSync(data, { recursive: true, force: true });
  }
}

/** Of the line that the server says it is there with; what comes later is read and forgotten. */
function addressIn(stdout) {
  return new Promise((resolve) => {
    createInterface({ input: stdout }).on("line", (line) => {
      if (line.startsWith("{")) resolve(JSON.parse(line).url);
    });
  });
}

async function freshMs() {
  const directory = mkdtempSync(join(tmpdir(), "millrace-clone-"));
  try {
    execFileSync("git", ["clone", "--quiet", "--depth", "1", `file://${root}`, directory]);
    return await firstPageMs(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param {{ repeats?: number }} options how often it is started where it is built */
export async function main({ repeats = 5 } = {}) {
  const built = [];
  for (let r = 0; r < repeats; r++) built.push(await firstPageMs(root));
  const tell = (where, ms) => process.stdout.write(`  ${where.padEnd(20)} ${(ms / 1000).toFixed(2).padStart(8)} s\n`);
  tell("built", median(built));
  // A folder that came without its history cannot be cloned.
  const fresh = existsSync(join(root, ".git")) ? await freshMs() : null;
  if (fresh !== null) tell("in a fresh clone", fresh);
  return { firstPageMs: { built: Math.round(median(built)), fresh: fresh === null ? null : Math.round(fresh) } };
}
