import { constants } from "node:fs";
import { lstat, mkdir, mkdtemp, open, rm, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, relative, resolve, sep } from "node:path";
import { messageOf, systemEnv } from "@millrace/engine";
import pc from "picocolors";
import { EXIT } from "../failure.ts";
import { writeJson, writeLine } from "../output.ts";

export interface DoctorOptions {
  readonly data: string;
  readonly port: number;
  readonly json?: boolean;
}

interface Check {
  readonly name: string;
  readonly verdict: "ok" | "warning" | "failed";
  readonly detail: string;
}

/** Checks this machine, each finding in one sentence; exit code 1 if something is in the way. */
export async function doctor({ data, port, json = false }: DoctorOptions): Promise<void> {
  const checks = [
    nodeCheck(),
    await guarded("disk", () => diskCheck(data)),
    await guarded("sync", () => syncCheck(data)),
    await guarded("LMDB", () => lmdbCheck(data)),
    await guarded("addon", addonCheck),
    await guarded("payloads", () => payloadCheck(data)),
    await guarded("port", () => portCheck(port)),
    clockCheck(),
  ];
  if (json) writeJson({ ok: checks.every(({ verdict }) => verdict !== "failed"), checks });
  else for (const { name, verdict, detail } of checks) writeLine(`${mark(verdict)} ${name.padEnd(8)} ${detail}`);
  if (checks.some(({ verdict }) => verdict === "failed")) process.exitCode = EXIT.findings;
}

function mark(verdict: Check["verdict"]): string {
  if (verdict === "ok") return pc.green("ok     ");
  return verdict === "warning" ? pc.yellow("warning") : pc.red("failed ");
}

async function guarded(name: string, check: () => Promise<Check>): Promise<Check> {
  try {
    return await check();
  } catch (thrown) {
    return { name, verdict: "failed", detail: messageOf(thrown) };
  }
}

const NODE_MIN = [20, 19] as const;

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  const detail = `${process.versions.node} on ${process.platform}-${process.arch}${ok ? "" : `; ${NODE_MIN.join(".")} or newer is needed`}`;
  return { name: "Node", verdict: ok ? "ok" : "failed", detail };
}

const FREE_BYTES_MIN = 1 << 30;
/** A segment of the log is prepared whole: with less than that, a new log does not begin and an old one fills up. */
const SEGMENT_BYTES = 64 << 20;

/** The nearest folder of the path that exists: nothing is left behind by looking. */
async function nearest(path: string): Promise<string> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found?.isDirectory() === true || at === dirname(at)) return at;
  }
}

/** What is there in place of the next folder of the path. */
async function fileBelow(directory: string, data: string): Promise<string | undefined> {
  const [next = ""] = relative(directory, resolve(data)).split(sep);
  if (next === "") return undefined;
  const path = join(directory, next);
  return (await lstat(path).catch(() => undefined)) === undefined ? undefined : path;
}

async function diskCheck(data: string): Promise<Check> {
  const directory = await nearest(data);
  const inTheWay = await fileBelow(directory, data);
  if (inTheWay !== undefined)
    return {
      name: "disk",
      verdict: "failed",
      detail: `${inTheWay} is no folder, so the data directory cannot be there`,
    };
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const verdict = free < SEGMENT_BYTES ? "failed" : free < FREE_BYTES_MIN ? "warning" : "ok";
  const why = free < SEGMENT_BYTES ? ", too little for a segment of the log (64 MiB)" : "";
  const room = free < 2 ** 30 ? `${Math.floor(free / 2 ** 20)} MiB` : `${(free / 2 ** 30).toFixed(1)} GiB`;
  return { name: "disk", verdict, detail: `${room} free at ${directory}${why}` };
}

const SHARED_MEMORY = "/dev/shm";
const SYNCS = 32;
const PAGE_BYTES = 4096;
const SYNC_MS_MAX = 20;

/** Times the write that a commit waits for: one page, synchronously. */
async function syncCheck(data: string): Promise<Check> {
  return inScratch(data, async (directory) => {
    const file = await open(join(directory, "sync"), constants.O_CREAT | constants.O_WRONLY | constants.O_DSYNC);
    try {
      const page = Buffer.alloc(PAGE_BYTES);
      const times: number[] = [];
      for (let i = 0; i < SYNCS; i++) {
        const started = performance.now();
        await file.write(page, 0, PAGE_BYTES, i * PAGE_BYTES);
        times.push(performance.now() - started);
      }
      const medianMs = times.sort((a, b) => a - b)[SYNCS >> 1] as number;
      const verdict = medianMs > SYNC_MS_MAX ? "warning" : "ok";
      return {
        name: "sync",
        verdict,
        detail: `a durable 4 KiB write takes ${medianMs.toFixed(2)} ms (median of ${SYNCS})`,
      };
    } finally {
      await file.close();
    }
  });
}

async function lmdbCheck(data: string): Promise<Check> {
  return inScratch(data, async (directory) => {
    const { openLmdbStore } = await import("@millrace/native");
    const store = await openLmdbStore({ dir: join(directory, "lmdb") });
    try {
      await store.transact((tx) => tx.put("doctor", Buffer.from("key"), Buffer.from("value")));
      return { name: "LMDB", verdict: "ok", detail: "opens, writes and syncs" };
    } finally {
      await store.close();
    }
  });
}

/** Without the addon everything works, so its absence is no finding. */
async function addonCheck(): Promise<Check> {
  const { addonState } = await import("@millrace/native");
  const state = addonState();
  const detail = state.inUse ? "in use" : `not in use, TypeScript does its work: ${state.reason}`;
  return { name: "addon", verdict: "ok", detail };
}

/** Hands one payload over, where the machine keeps shared memory if it has some. */
async function payloadCheck(data: string): Promise<Check> {
  const memory = await stat(SHARED_MEMORY).catch(() => undefined);
  return inScratch(memory === undefined ? data : SHARED_MEMORY, async (directory) => {
    const { openPayloadStore } = await import("@millrace/native");
    const { store, kind, reason } = openPayloadStore({ dir: directory, env: systemEnv(), bytesMax: PAGE_BYTES });
    try {
      const token = await store.put(Buffer.from("payload"), "raw");
      const lease = token === undefined ? undefined : await store.acquire(token);
      if (lease?.release() !== true) return { name: "payloads", verdict: "failed", detail: "a payload was lost" };
      const how = kind === "mapped" ? "by reference, mapped" : `by copying: ${reason}`;
      return { name: "payloads", verdict: "ok", detail: `handed over ${how}` };
    } finally {
      await store.close();
    }
  });
}

async function inScratch<T>(data: string, use: (directory: string) => Promise<T>): Promise<T> {
  const base = await nearest(data);
  await mkdir(base, { recursive: true });
  const directory = await mkdtemp(join(base, ".millrace-doctor-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A check of a server that answers. */
interface ServerCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

async function portCheck(port: number): Promise<Check> {
  const free = await new Promise<boolean>((answer) => {
    const probe = createServer();
    probe.once("error", () => answer(false));
    probe.listen({ port, host: "127.0.0.1" }, () => probe.close(() => answer(true)));
  });
  if (free) return { name: "port", verdict: "ok", detail: `${port} is free` };
  const health = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(
    () => undefined,
  );
  const answer = (await health?.json().catch(() => undefined)) as
    | { readonly version?: string; readonly status?: string; readonly checks?: readonly ServerCheck[] }
    | undefined;
  if (answer?.version === undefined)
    return { name: "port", verdict: "warning", detail: `${port} is taken by another program` };
  const failing = (answer.checks ?? []).filter(({ ok }) => !ok).map(({ name, detail }) => `; ${name}: ${detail}`);
  return {
    name: "port",
    verdict: answer.status === "ok" ? "ok" : "warning",
    detail: `Millrace ${answer.version} answers at ${port}: ${answer.status}${failing.join("")}`,
  };
}

const EPOCH_MIN = Date.UTC(2026, 0, 1);

function clockCheck(): Check {
  const now = Date.now();
  const verdict = now < EPOCH_MIN ? "failed" : "ok";
  return { name: "clock", verdict, detail: new Date(now).toISOString() };
}
