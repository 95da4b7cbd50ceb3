/**
 * kill -9 and SIGSTOP of processes that hand payloads to each other by reference, at random moments:
 * `node ops/test/faults/payload-kill.mjs [kills]`. Nobody may take other bytes for a payload, and in the end everything is freed.
 * The last line of stdout is a JSON object.
 */
import { fork } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openMappedPayloadStore } from "@millrace/native";

const ACTOR = fileURLToPath(new URL("./payload-actor.mjs", import.meta.url));
const ACTORS = 3;
const LEASE_MS = 200;
const STOP_MS = 3 * LEASE_MS;
/** One in so many faults stops a process for longer than its leases last, instead of killing it. */
const STOPS = 4;
const GAP_MS_MAX = 200;
/** One in so many kills may come while the process still starts. */
const EARLY = 4;
const FREED_WITHIN_MS = 20_000;
const DRAFT_AGE_S = 3600;

/** @returns {Promise<{ kills: number, stops: number, put: number, right: number, missed: number, lost: number, wrong: number, left: string[] }>} */
export async function killPayloads(kills) {
  const memory = statSync("/dev/shm", { throwIfNoEntry: false }) ? "/dev/shm" : tmpdir();
  const dir = mkdtempSync(join(memory, "millrace-payload-kill-"));
  const found = { kills: 0, stops: 0, put: 0, right: 0, missed: 0, lost: 0, wrong: 0, left: [] };
  const actors = Array.from({ length: ACTORS }, (_, i) => startActor(dir, i + 1, found));
  const others = (actor) => actors.filter((other) => other !== actor && other.child.connected);
  for (const actor of actors) actor.others = others;
  try {
    for (let seed = ACTORS + 1; found.kills < kills; seed++) await injectFault(actors, dir, seed, found, others);
    await Promise.all(actors.map(endActor));
    found.left = await leftBehind(dir);
  } finally {
    for (const { child } of actors) child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  }
  return found;
}

function startActor(dir, seed, found) {
  const child = fork(ACTOR, [dir, String(seed), String(LEASE_MS)], { execArgv: [] });
  const actor = {
    child,
    /** It has put or read its first payload. */
    begun: new Promise((resolve) => child.once("message", resolve)),
    exited: new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal }))),
  };
  child.on("error", () => undefined);
  child.on("message", ({ put, read }) => {
    if (put !== undefined) {
      found.put++;
      for (const other of actor.others(actor)) other.child.send(put, () => undefined);
    } else if (read === "WRONG") found.wrong++;
    else found[read]++;
  });
  return actor;
}

async function injectFault(actors, dir, seed, found, others) {
  const at = Math.floor(Math.random() * ACTORS);
  const { child, exited, begun } = actors[at];
  if (Math.random() * EARLY > 1) await Promise.race([begun, exited]);
  await wait(Math.random() * GAP_MS_MAX);
  if (Math.random() * STOPS < 1) {
    child.kill("SIGSTOP");
    await wait(STOP_MS);
    child.kill("SIGCONT");
    found.stops++;
    return;
  }
  child.kill("SIGKILL");
  const { code, signal } = await exited;
  if (signal !== "SIGKILL") throw new Error(`a process ended by itself, with ${code ?? signal}`);
  found.kills++;
  actors[at] = startActor(dir, seed, found);
  actors[at].others = others;
}

async function endActor({ child, exited }) {
  child.send("end");
  const { code, signal } = await exited;
  if (code !== 0) throw new Error(`a process did not end by itself, but with ${code ?? signal}`);
}

/** Files that are not of the store of the one process that is left, once it had the time to clean up. */
async function leftBehind(dir) {
  const store = openMappedPayloadStore({ dir, leaseMs: LEASE_MS });
  const [boot] = readdirSync(dir);
  const files = () => readdirSync(join(dir, boot)).filter((name) => /^(env|proc)-/.test(name));
  // Drafts are left alone for a minute, because whoever makes one may be about to rename it; here they all have ended.
  const past = Date.now() / 1000 - DRAFT_AGE_S;
  for (const name of files()) if (name.endsWith(".tmp")) utimesSync(join(dir, boot, name), past, past);
  // Its own: data, lock and control file, process file.
  const OWN = 4;
  const until = performance.now() + FREED_WITHIN_MS;
  while (files().length > OWN && performance.now() < until) {
    store.sweep();
    await wait(20);
  }
  const left = files().length > OWN ? files() : [];
  await store.close();
  return left;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const found = await killPayloads(Number(process.argv[2] ?? 10_000));
  process.stdout.write(`${JSON.stringify(found)}\n`);
  if (found.wrong > 0 || found.left.length > 0) process.exitCode = 1;
}
