/**
 * A child process that opens an LMDB environment and reads it. LMDB trusts its file: on a damaged one it may kill the process (SIGSEGV,
 * SIGBUS) instead of failing. So the child dies in our place.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import type { Socket } from "node:net";

export type Verdict =
  | { readonly answer: "sound" }
  /** As far as was looked. */
  | { readonly answer: "sound so far" }
  | { readonly answer: "damaged"; readonly reason: string }
  /** The file may be good: the environment around it is not (permissions, memory, time). */
  | { readonly answer: "unknown"; readonly reason: string };

export interface Examination {
  readonly verdict: Promise<Verdict>;
  /** Ends it early, and waits until it has. */
  readonly stop: () => Promise<void>;
  /** Our process may end before it does; then it ends, too. */
  readonly unref: () => void;
}

/** Exit codes of a child. */
const REFUSED = 3;
const IN_PART = 4;

/** LMDB's own codes are below this, system codes above. */
const LMDB_CODE_MAX = -30_700;
/** LMDB's codes that blame the surroundings and not the file: READERS_FULL, TLS_FULL, MAP_RESIZED. */
const INNOCENT_CODES: ReadonlySet<number> = new Set([-30_790, -30_789, -30_785]);
const DAMAGED_SIGNALS: ReadonlySet<string> = new Set(["SIGBUS", "SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE"]);
/** MDB_CORRUPTED, for what LMDB does not notice. */
const ENTRIES_MISSING = -30_796;

/** What every child begins with. It runs without our sources, which may not be JavaScript yet, and needs only the path of `lmdb`. */
const PROLOGUE = `
const lmdb = require(process.argv[1]);
const given = JSON.parse(process.argv[2]);
const open = () => lmdb.open({ ...given.options, readOnly: true, keyEncoding: "binary", encoding: "binary" });
const missing = () => Object.assign(new Error("entries are missing"), { code: ${ENTRIES_MISSING} });
const end = (isWhole) => process.exit(isWhole ? 0 : ${IN_PART});
const refuse = ({ code, message }) =>
  process.stdout.write(JSON.stringify({ code, message: String(message) }), () => process.exit(${REFUSED}));
// Whoever asked is gone, or does not want to know any more.
process.stdin.on("end", () => process.exit(${IN_PART})).resume();
`;

/** Runs a script that calls `end` or `refuse` once; what it is given is `given`. */
export function examine(script: string, given: object, limitMs?: number): Examination {
  const lmdb = createRequire(import.meta.url).resolve("lmdb");
  const child = spawn(process.execPath, ["-e", PROLOGUE + script, lmdb, JSON.stringify(given)], {
    env: childEnv(),
    stdio: ["pipe", "pipe", "ignore"],
    timeout: limitMs,
  });
  let told = "";
  child.stdout.on("data", (piece: Buffer) => {
    told += piece.toString("utf8");
  });
  child.stdin.on("error", () => undefined);
  const verdict = new Promise<Verdict>((resolve) => {
    child.on("error", ({ message }) => resolve({ answer: "unknown", reason: message }));
    child.on("close", (code, signal) => resolve(verdictOf(code, signal, told)));
  });
  const pipes = [child.stdin, child.stdout] as unknown as readonly Socket[];
  const stop = async (): Promise<void> => {
    for (const waited of [child, ...pipes]) waited.ref();
    child.stdin.end();
    await verdict;
  };
  const unref = (): void => {
    for (const left of [child, ...pipes]) left.unref();
  };
  return { verdict, stop, unref };
}

function verdictOf(code: number | null, signal: string | null, told: string): Verdict {
  if (code === 0) return { answer: "sound" };
  if (code === IN_PART) return { answer: "sound so far" };
  if (signal !== null) {
    const answer = DAMAGED_SIGNALS.has(signal) ? "damaged" : "unknown";
    return { answer, reason: `the process that looked ended with ${signal}` };
  }
  if (code !== REFUSED) return { answer: "unknown", reason: `the process that looked ended with ${code}` };
  const { code: failure = 0, message } = JSON.parse(told) as { readonly code?: number; readonly message: string };
  const blamesFile = failure < LMDB_CODE_MAX && !INNOCENT_CODES.has(failure);
  return { answer: blamesFile ? "damaged" : "unknown", reason: message };
}

/** Loaders and inspectors that our process was started with are not for the child. */
function childEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  return rest;
}
