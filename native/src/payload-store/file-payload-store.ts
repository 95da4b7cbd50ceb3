/**
 * The payload store that works everywhere: files that readers copy, shared by the processes of one user on one machine. A
 * directory of mode 0700 holds one folder per writing process; a payload is a file there, complete under its name or not
 * there. What was copied is checked by its hash, so that a file that was changed or cut off is a gap and not a payload.
 *
 * A folder whose process is gone is removed by whoever opens the store. A process is judged gone only when no process has its
 * id; a wrong judgement costs a gap, which the origin fills.
 */
import { createHash } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  Env,
  LocatedPayload,
  PayloadFormat,
  PayloadLease,
  PayloadStore,
  PayloadStoreStats,
  PayloadToken,
} from "@millrace/engine";
import { CopiedLease, payloadError } from "@millrace/engine/worker";
import { HeldLeases } from "./held-leases.ts";

export interface FilePayloadStoreOptions {
  /** Best on a memory file system. Created with mode 0700; an existing one is made so. */
  readonly dir: string;
  readonly env: Env;
  /** Room in bytes for payloads of this process. Default 256 MiB. */
  readonly bytesMax?: number;
}

const BYTES_MAX = 256 * 1024 * 1024;
const STORE_FILE = "store";
const PROCESS_FILE = "pid";
/** An id names its writer's folder and the file in it; nothing else may become a path. */
const ID = /^([0-9a-f]{32})-([0-9]{1,15})$/;

/** @throws PAYLOAD-FAILED the directory cannot be used */
export function openFilePayloadStore(options: FilePayloadStoreOptions): PayloadStore {
  const { dir, env, bytesMax = BYTES_MAX } = options;
  const owner = hex(env.random.bytes(16));
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    const id = storeId(dir, hex(env.random.bytes(16)));
    removeOrphans(dir);
    mkdirSync(join(dir, owner), { mode: 0o700 });
    writeFileSync(join(dir, owner, PROCESS_FILE), String(process.pid), { mode: 0o600 });
    return new FilePayloadStore(dir, id, owner, bytesMax);
  } catch (error) {
    throw payloadError("PAYLOAD-FAILED", `cannot keep payloads in ${dir}`, { cause: error, details: { dir } });
  }
}

class FilePayloadStore implements PayloadStore {
  readonly id: string;
  readonly #dir: string;
  readonly #owner: string;
  readonly #bytesMax: number;
  /** Lengths of what this process wrote and holds. */
  readonly #held = new Map<string, number>();
  /** Of one that the program forgot nothing remains but its memory, which goes with it. */
  readonly #leases = new HeldLeases<PayloadLease>(() => () => undefined);
  #bytes = 0;
  #sequence = 0;
  #closed = false;

  constructor(dir: string, id: string, owner: string, bytesMax: number) {
    this.id = id;
    this.#dir = dir;
    this.#owner = owner;
    this.#bytesMax = bytesMax;
  }

  async put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined> {
    this.#mustBeOpen();
    const { length } = bytes;
    if (this.#bytes + length > this.#bytesMax) return undefined;
    this.#sequence += 1;
    const id = `${this.#owner}-${this.#sequence}`;
    this.#hold(id, length);
    const own = new Uint8Array(bytes);
    const path = this.#pathOf(id) as string;
    try {
      await writeFile(`${path}.tmp`, own, { mode: 0o600 });
      await rename(`${path}.tmp`, path);
    } catch (error) {
      this.#letGo(id);
      await rm(`${path}.tmp`, { force: true });
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") return undefined;
      throw payloadError("PAYLOAD-FAILED", `writing payload ${id} failed`, { cause: error });
    }
    return { store: this.id, id, format, length, hash: hashOf(own) };
  }

  async discard(token: PayloadToken): Promise<void> {
    if (token.store !== this.id || !this.#held.has(token.id)) return;
    this.#letGo(token.id);
    await rm(this.#pathOf(token.id) as string, { force: true });
  }

  async acquire(token: PayloadToken): Promise<PayloadLease | undefined> {
    this.#mustBeOpen();
    const path = token.store === this.id ? this.#pathOf(token.id) : undefined;
    const bytes = path === undefined ? undefined : await readWhole(path, token.length);
    if (bytes === undefined || this.#closed || hashOf(bytes) !== token.hash) return undefined;
    const lease = new CopiedLease({ ...token }, bytes, () => this.#leases.delete(lease));
    this.#leases.add(lease);
    return lease;
  }

  async locate(token: PayloadToken): Promise<LocatedPayload | undefined> {
    this.#mustBeOpen();
    const path = token.store === this.id ? this.#pathOf(token.id) : undefined;
    if (path === undefined || (await sizeOf(path)) !== token.length) return undefined;
    return { path, offset: 0, release: () => !this.#closed };
  }

  stats(): PayloadStoreStats {
    return { payloads: this.#held.size, bytes: this.#bytes, leases: this.#leases.size };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#leases.releaseAll();
    this.#held.clear();
    this.#bytes = 0;
    await rm(join(this.#dir, this.#owner), { recursive: true, force: true });
  }

  #hold(id: string, length: number): void {
    this.#held.set(id, length);
    this.#bytes += length;
  }

  #letGo(id: string): void {
    this.#bytes -= this.#held.get(id) ?? 0;
    this.#held.delete(id);
  }

  #pathOf(id: string): string | undefined {
    const [, owner, sequence] = ID.exec(id) ?? [];
    return owner === undefined || sequence === undefined ? undefined : join(this.#dir, owner, sequence);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw payloadError("PAYLOAD-CLOSED", "the payload store is closed");
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

/** Reads a file of exactly this length, into memory of its own. */
async function readWhole(path: string, length: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const file = await open(path, "r");
    try {
      return await readExactly(file, length);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw payloadError("PAYLOAD-FAILED", `reading ${path} failed`, { cause: error });
  }
}

async function readExactly(file: FileHandle, length: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if ((await file.stat()).size !== length) return undefined;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
  }
  return bytes;
}

/** The id of the store in `dir`: that of whoever was first. */
function storeId(dir: string, mine: string): string {
  const path = join(dir, STORE_FILE);
  const draft = `${path}.${mine}`;
  writeFileSync(draft, mine, { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft);
  }
  return readFileSync(path, "utf8");
}

function removeOrphans(dir: string): void {
  for (const { name } of readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    if (isGone(join(dir, name, PROCESS_FILE))) rmSync(join(dir, name), { recursive: true, force: true });
  }
}

function isGone(processFile: string): boolean {
  try {
    process.kill(Number(readFileSync(processFile, "utf8")), 0);
    return false;
  } catch (error) {
    // A folder without the file is just being made, or removed by another.
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
