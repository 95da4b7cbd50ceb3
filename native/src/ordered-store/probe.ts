/**
 * Whether an LMDB environment can be opened. LMDB trusts its file: on a damaged one it may kill the process (SIGSEGV, SIGBUS)
 * instead of failing. So a child process opens and reads it first, and dies in our place.
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";

export type Verdict =
  | { readonly answer: "sound" }
  | { readonly answer: "damaged"; readonly reason: string }
  /** The file may be good: the environment around it is not (permissions, memory, time). */
  | { readonly answer: "unknown"; readonly reason: string };

const PROBE_MS_MAX = 60_000;
/** Reading is bounded, so that a large store opens soon; the pages that every read passes are read first. */
const WALK_MS_MAX = 2000;
/** Of a store that was closed and has not been written to since, only so many entries are read at either end. */
const GLANCE_ENTRIES = 1024;

/** LMDB's own codes are below this, system codes above. */
const LMDB_CODE_MAX = -30_700;
/** LMDB's codes that blame the surroundings and not the file: READERS_FULL, TLS_FULL, MAP_RESIZED. */
const INNOCENT_CODES: ReadonlySet<number> = new Set([-30_790, -30_789, -30_785]);
const DAMAGED_SIGNALS: ReadonlySet<string> = new Set(["SIGBUS", "SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE"]);

/** MDB_CORRUPTED, for what LMDB does not notice. */
const ENTRIES_MISSING = -30_796;

/** Runs without our sources, which may not be JavaScript yet: it needs only the path of `lmdb` and the options. */
const PROBE = `
const { open } = require(process.argv[1]);
const options = JSON.parse(process.argv[2]);
const until = Date.now() + Number(process.argv[3]);
const glance = Number(process.argv[4]);
try {
  const root = open({ ...options, readOnly: true, keyEncoding: "binary", encoding: "binary" });
  const { entryCount } = root.getStats();
  const walk = (range) => {
    let seen = 0;
    for (const { value } of root.getRange(range)) {
      if (value === undefined) throw new Error("a key without a value");
      if ((++seen & 1023) === 0 && Date.now() > until) return entryCount;
    }
    return seen;
  };
  const ends = Math.min(glance, entryCount);
  const wanted = glance > 0 ? 2 * ends : entryCount;
  const seen =
    glance > 0
      ? walk({ start: Buffer.from([0]), limit: ends }) + walk({ start: Buffer.from([255]), reverse: true, limit: ends })
      : walk({ start: Buffer.from([0]) });
  // LMDB takes some damaged pages for the end of the keys.
  if (seen < wanted) throw Object.assign(new Error("entries are missing"), { code: ${ENTRIES_MISSING} });
  process.exit(0);
} catch (error) {
  process.stdout.write(JSON.stringify({ code: error.code, message: String(error.message) }), () => process.exit(3));
}`;

/** Opens the environment at `options.path` in a child process and reads it; little of it when `wasClosed`. */
export function probe(
  options: { readonly path: string; readonly [name: string]: unknown },
  wasClosed: boolean,
): Promise<Verdict> {
  const lmdb = createRequire(import.meta.url).resolve("lmdb");
  const args = [
    "-e",
    PROBE,
    lmdb,
    JSON.stringify(options),
    String(WALK_MS_MAX),
    String(wasClosed ? GLANCE_ENTRIES : 0),
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: PROBE_MS_MAX, env: childEnv() }, (error, stdout) => {
      resolve(error === null ? { answer: "sound" } : judge(error, stdout));
    });
  });
}

function judge(error: Error & { code?: unknown; signal?: unknown }, stdout: string): Verdict {
  if (typeof error.signal === "string") {
    const answer = DAMAGED_SIGNALS.has(error.signal) ? "damaged" : "unknown";
    return { answer, reason: `the probe ended with ${error.signal}` };
  }
  const told = error.code === 3 ? (JSON.parse(stdout) as { code?: number; message: string }) : undefined;
  if (told === undefined) return { answer: "unknown", reason: error.message };
  const code = told.code ?? 0;
  const damaged = code < LMDB_CODE_MAX && !INNOCENT_CODES.has(code);
  return { answer: damaged ? "damaged" : "unknown", reason: told.message };
}

/** Loaders and inspectors that our process was started with are not for the child. */
function childEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  return rest;
}
