/**
 * The ordered store on LMDB: the one module that opens LMDB environments. It stands between the engine and what lmdb-js does
 * when it is let: it dies of options that it does not check and of damaged files, keeps read transactions that hide newer
 * commits, lends buffers that the next read overwrites, and rejects promises that nobody holds.
 *
 * Commits are synced before they resolve (`overlappingSync: false`), and after a crash the last but one meta page is trusted
 * unless the last is known to be whole (`safeRestore`). Everything in a store is derived from the log, so a store that cannot
 * be read is deleted and the caller told by {@link LmdbStore.rebuilt}.
 */
import { existsSync, statSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Entry, Key, OrderedStore, OrderedWriter, RangeOptions } from "@millrace/engine";
import { invariant, storeError } from "@millrace/engine/worker";
import { ABORT, open, type RootDatabase, type RootDatabaseOptionsWithPath } from "lmdb";
import { isMarkedDamaged, markClosed, markDamaged, takeClosedMark } from "./closed-mark.ts";
import type { Examination, Verdict } from "./examination.ts";
import { storeFailure } from "./failure.ts";
import { freeBytes, Growth } from "./growth.ts";
import { lookThrough } from "./look-through.ts";
import { probe } from "./probe.ts";
import {
  bound,
  checkKey,
  DIRECTORY,
  keyEncoder,
  TABLE_NUMBER_MAX,
  type TableKey,
  tableStart,
  withoutPrefix,
} from "./table-keys.ts";

export interface LmdbStoreOptions {
  /** Directory of the environment; created when missing, used by nothing else. */
  readonly dir: string;
  /**
   * Address space reserved at first, in bytes: a multiple of 4096, from 1 MiB to 16 TiB. It grows by itself; growing stops
   * the world for a moment. Default 1 GiB. The file is only as large as its contents.
   */
  readonly mapBytes?: number;
  /**
   * True for a second opening by another thread of the process that has the store open: it is not examined again. The threads
   * write to different tables, and read what the other wrote after a {@link LmdbStore.refresh}. Default false.
   */
  readonly shared?: boolean;
  /**
   * How much CPU time, in ms, opening may spend on a look for damage after a crash; what it does not come to is looked through beside the
   * store's users. Default 250.
   */
  readonly lookMsMax?: number;
}

export interface LmdbStore extends OrderedStore {
  /** Where it is: another thread of this process may open the same store by it. */
  readonly dir: string;
  /** True when a store was there, could not be read, and was deleted: whoever writes to it begins from the log's start. */
  readonly rebuilt: boolean;
  /**
   * Resolves when all that was there at opening has been looked through, or the store was closed before. Where it was damaged, nothing can
   * be written any more, and the next opening deletes it.
   */
  readonly examined: Promise<void>;
  /** Reads from now on see what other threads have committed. */
  refresh(): void;
}

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
const MAP_BYTES = 1024 * MIB;
const MAP_BYTES_MAX = 16 * MIB * MIB;
const LOOK_MS_MAX = 250;
const DAMAGED: Verdict = { answer: "damaged", reason: "it was found damaged while it was open" };
const TABLE_NAME_BYTES_MAX = 255;
/** A transaction's room is checked at its end, and each time it has put so much more. */
const UNCHECKED_BYTES_MAX = 8 * MIB;

/** Directories open in this process: LMDB must not open one twice. */
const openDirs = new Set<string>();

/**
 * Opens the store in `dir`, or makes it.
 *
 * @throws STORE-FAILED it can be neither opened nor known to be damaged (permissions, memory), or `dir` is open already
 * @throws STORE-FULL the disk has no room for an empty store
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<LmdbStore> {
  const dir = resolve(options.dir);
  const settings = settingsOf(dir, options);
  if (openDirs.has(dir))
    throw storeError("STORE-FAILED", `${dir} is already open in this process`, { details: { dir } });
  openDirs.add(dir);
  try {
    const isShared = options.shared === true;
    const found = isShared ? "sound" : await examined(dir, settings, options.lookMsMax ?? LOOK_MS_MAX);
    await mkdir(dir, { recursive: true });
    return new Lmdb(dir, openRoot(settings), {
      isShared,
      rebuilt: found === "damaged",
      look: found === "sound so far" ? lookThrough(settings) : undefined,
    });
  } catch (error) {
    openDirs.delete(dir);
    throw storeFailure(error, dir);
  }
}

interface Settings {
  readonly path: string;
  readonly mapSize: number;
  readonly noSubdir: false;
  readonly overlappingSync: false;
  readonly safeRestore: true;
}

/** lmdb-js passes options on unchecked; a negative map size, which `2 << 30` is, ends the process. */
function settingsOf(path: string, { dir, mapBytes = MAP_BYTES }: LmdbStoreOptions): Settings {
  invariant(dir.length > 0, "a store needs a directory");
  const whole = Number.isSafeInteger(mapBytes) && mapBytes % PAGE_BYTES === 0;
  invariant(
    whole && mapBytes >= MIB && mapBytes <= MAP_BYTES_MAX,
    `mapBytes ${mapBytes} is not a size that LMDB can map`,
  );
  return { path, mapSize: mapBytes, noSubdir: false, overlappingSync: false, safeRestore: true };
}

/** What is damaged is deleted. */
async function examined(dir: string, settings: Settings, lookMsMax: number): Promise<Verdict["answer"]> {
  const file = join(dir, "data.mdb");
  const isThere = existsSync(file) && statSync(file).size > 0;
  if (!isThere) return "sound";
  const verdict = isMarkedDamaged(dir) ? DAMAGED : await probe(settings, takeClosedMark(dir) ? 0 : lookMsMax);
  if (verdict.answer === "unknown") {
    throw storeError("STORE-FAILED", `the store at ${dir} cannot be opened: ${verdict.reason}`, { details: { dir } });
  }
  if (verdict.answer === "damaged") await rm(dir, { recursive: true, force: true });
  return verdict.answer;
}

function openRoot(settings: Settings): RootDatabase<Uint8Array, Key> {
  // The type lacks `safeRestore`. Batches by event turn make promises that nobody can reach to handle.
  const options = { ...settings, keyEncoder, encoding: "binary" as const, eventTurnBatching: false };
  return open(options as RootDatabaseOptionsWithPath);
}

interface Opened extends Pick<LmdbStore, "rebuilt"> {
  readonly isShared: boolean;
  /** What opening has left to look at. */
  readonly look: Examination | undefined;
}

class Lmdb implements LmdbStore {
  readonly rebuilt: boolean;
  readonly dir: string;
  readonly examined: Promise<void>;
  readonly #look: Examination | undefined;
  readonly #shared: boolean;
  readonly #root: RootDatabase<Uint8Array, Key>;
  readonly #tables = new Map<string, number>();
  /** Tables that the running transaction began; they become known when it commits. */
  #begun = new Map<string, number>();
  #tableCount = 0;
  /** What transactions put that are not yet on disk. */
  #growth = new Growth();
  #checkedBytes = 0;
  /** Nobody need look again when it is opened as it was closed. */
  #isLookedThrough: boolean;
  /** Why no more may be written: a commit failed, and LMDB's state in memory with it; or there is damage. */
  #broken: unknown;
  readonly #scratch: TableKey = { table: 0, key: new Uint8Array() };
  readonly #inFlight = new Set<Promise<void>>();
  #running = false;
  #closing: Promise<void> | undefined;

  constructor(dir: string, root: RootDatabase<Uint8Array, Key>, { isShared, rebuilt, look }: Opened) {
    this.dir = dir;
    this.#shared = isShared;
    this.#root = root;
    this.rebuilt = rebuilt;
    this.#isLookedThrough = look === undefined;
    this.#look = look;
    look?.unref();
    this.examined = this.#examine(look);
    this.#readTables();
  }

  async #examine(look: Examination | undefined): Promise<void> {
    const verdict = await look?.verdict;
    if (verdict?.answer === "sound") this.#isLookedThrough = true;
    if (verdict?.answer !== "damaged") return;
    markDamaged(this.dir, verdict.reason);
    this.#broken ??= storeError("STORE-FAILED", `the store at ${this.dir} is damaged: ${verdict.reason}`, {
      details: { dir: this.dir },
    });
  }

  get(table: string, key: Key): Uint8Array | undefined {
    this.#mustBeOpen();
    checkKey(key);
    const number = this.#numberOf(table);
    return number === undefined ? undefined : this.#root.getBinary(this.#at(number, key));
  }

  range(table: string, options: RangeOptions = {}): Iterable<Entry> {
    this.#mustBeOpen();
    const number = this.#numberOf(table);
    if (number === undefined || options.limit === 0) return [];
    const low = options.gte === undefined ? tableStart(number) : bound(number, options.gte);
    const high = options.lt === undefined ? tableStart(number + 1) : bound(number, options.lt);
    if (Buffer.compare(low, high) >= 0) return [];
    const { reverse = false, limit } = options;
    return { [Symbol.iterator]: () => withoutPrefixes(this.#stored(low, high, reverse, limit)) };
  }

  count(table: string): number {
    this.#mustBeOpen();
    const number = this.#numberOf(table);
    return number === undefined
      ? 0
      : this.#root.getKeysCount({ start: tableStart(number), end: tableStart(number + 1) });
  }

  async transact<T>(write: (tx: OrderedWriter) => T): Promise<T> {
    this.#mustBeOpen();
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    const run = (): unknown => {
      const tx = new Transaction(this);
      this.#running = true;
      try {
        if (this.#broken !== undefined) throw this.#broken;
        const value = write(tx);
        tx.mustBeWhole();
        this.#mustFit();
        outcome = { value };
        for (const [name, number] of this.#begun) this.#tables.set(name, number);
        return undefined;
      } catch (error) {
        outcome = { error };
        return ABORT;
      } finally {
        tx.end();
        this.#running = false;
        this.#begun = new Map();
      }
    };
    const committed = this.#commit(run);
    this.#inFlight.add(committed);
    try {
      await committed;
    } finally {
      this.#inFlight.delete(committed);
      if (this.#inFlight.size === 0) this.#allOnDisk();
    }
    invariant(outcome !== undefined, "a committed transaction ran");
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  async drop(table: string): Promise<void> {
    await this.transact((tx) => tx.deleteRange(table));
  }

  refresh(): void {
    this.#mustBeOpen();
    this.#root.resetReadTxn();
    this.#readTables();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    await this.#look?.stop();
    await this.examined;
    try {
      await this.#root.close();
      if (!this.#shared && this.#isLookedThrough && this.#broken === undefined) markClosed(this.dir);
    } finally {
      openDirs.delete(this.dir);
    }
  }

  /** For the running transaction only. */
  put(table: string, key: Key, value: Uint8Array): void {
    checkKey(key);
    const number = this.#numberOf(table) ?? this.#begin(table);
    this.#growth.put(key.length, value.length);
    if (this.#growth.putBytes - this.#checkedBytes > UNCHECKED_BYTES_MAX) this.#mustFit();
    try {
      this.#root.putSync(this.#at(number, key), value);
    } catch (error) {
      throw storeFailure(error, this.dir);
    }
  }

  /** For the running transaction only. */
  delete(table: string, key: Key): void {
    checkKey(key);
    const number = this.#numberOf(table);
    if (number === undefined) return;
    this.#growth.delete();
    try {
      this.#root.removeSync(this.#at(number, key));
    } catch (error) {
      throw storeFailure(error, this.dir);
    }
  }

  /** LMDB must not meet a full disk: see {@link Growth}. */
  #mustFit(): void {
    this.#checkedBytes = this.#growth.putBytes;
    const free = freeBytes(this.dir);
    if (this.#growth.fits(free, () => this.#fileBytes())) return;
    const details = { dir: this.dir, freeBytes: free };
    throw storeError("STORE-FULL", `${free} free bytes are too few for ${this.dir}`, { details, retryAfterMs: 1000 });
  }

  #allOnDisk(): void {
    this.#growth = new Growth();
    this.#checkedBytes = 0;
  }

  #fileBytes(): number {
    // The type of statistics is empty.
    const { lastPageNumber, pageSize } = this.#root.getStats() as { lastPageNumber: number; pageSize: number };
    return (lastPageNumber + 1) * pageSize;
  }

  async #commit(run: () => unknown): Promise<void> {
    try {
      await this.#root.childTransaction(run);
    } catch (error) {
      // lmdb-js rejects with a general error that carries a promise of the reason, which must be consumed.
      const reason = await (error as { commitError?: Promise<never> }).commitError?.catch((cause: unknown) => cause);
      const failure = storeFailure(reason ?? error, this.dir);
      this.#broken = storeError("STORE-FAILED", `an earlier commit to ${this.dir} failed; open it again`, {
        cause: failure,
      });
      throw failure;
    } finally {
      // A read transaction that began before the commit would hide it.
      this.#root.resetReadTxn();
    }
  }

  /** Scratch for calls that use their key before they return. lmdb-js hands it to {@link keyEncoder} as it is. */
  #at(table: number, key: Key): Key {
    this.#scratch.table = table;
    this.#scratch.key = key;
    return this.#scratch as unknown as Key;
  }

  #readTables(): void {
    for (const { key, value } of this.#stored(tableStart(DIRECTORY), tableStart(DIRECTORY + 1))) {
      const number = ((value[0] as number) << 8) | (value[1] as number);
      this.#tables.set(Buffer.from(withoutPrefix(key)).toString("utf8"), number);
      this.#tableCount = Math.max(this.#tableCount, number);
    }
  }

  #numberOf(table: string): number | undefined {
    return this.#begun.get(table) ?? this.#tables.get(table);
  }

  #begin(table: string): number {
    const name = Buffer.from(table, "utf8");
    invariant(
      name.length > 0 && name.length <= TABLE_NAME_BYTES_MAX,
      `a table's name has 1 to ${TABLE_NAME_BYTES_MAX} bytes`,
    );
    invariant(this.#tableCount < TABLE_NUMBER_MAX, "a store holds 65,534 tables");
    this.#tableCount += 1;
    const number = this.#tableCount;
    this.#growth.put(name.length, 2);
    this.#root.putSync(this.#at(DIRECTORY, name), tableStart(number));
    this.#begun.set(table, number);
    return number;
  }

  #stored(low: Uint8Array, high: Uint8Array, reverse = false, limit?: number): Iterable<Entry> {
    const most = limit === undefined ? {} : { limit };
    return this.#root.getRange(
      reverse
        ? { start: high, exclusiveStart: true, end: low, inclusiveEnd: true, reverse, ...most }
        : { start: low, end: high, ...most },
    );
  }

  #mustBeOpen(): void {
    if (this.#closing !== undefined && !this.#running) throw storeError("STORE-CLOSED", "the store is closed");
  }
}

/** What a transaction's function writes to. A failed write discards the transaction, even if the function caught it. */
class Transaction implements OrderedWriter {
  readonly #lmdb: Lmdb;
  #failure: unknown;
  #ended = false;

  constructor(lmdb: Lmdb) {
    this.#lmdb = lmdb;
  }

  get(table: string, key: Key): Uint8Array | undefined {
    this.#mustRun();
    return this.#lmdb.get(table, key);
  }

  range(table: string, options?: RangeOptions): Iterable<Entry> {
    this.#mustRun();
    return this.#lmdb.range(table, options);
  }

  count(table: string): number {
    this.#mustRun();
    return this.#lmdb.count(table);
  }

  put(table: string, key: Key, value: Uint8Array): void {
    this.#mustRun();
    try {
      this.#lmdb.put(table, key, value);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  delete(table: string, key: Key): void {
    this.#mustRun();
    try {
      this.#lmdb.delete(table, key);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  deleteRange(table: string, options?: Pick<RangeOptions, "gte" | "lt">): void {
    for (const { key } of [...this.range(table, options)]) this.delete(table, key);
  }

  mustBeWhole(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  end(): void {
    this.#ended = true;
  }

  #mustRun(): void {
    invariant(!this.#ended, "a transaction is used only while its function runs");
  }
}

function* withoutPrefixes(entries: Iterable<Entry>): Generator<Entry> {
  for (const { key, value } of entries) yield { key: withoutPrefix(key), value };
}
