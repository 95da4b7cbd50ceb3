/**
 * The one file that touches the Rust addon (`native/node`). It is an accelerator: whoever asks for it and gets `undefined`
 * uses the TypeScript implementation, which does the same (ops/test/native holds both against each other).
 */
import { createRequire } from "node:module";
import type { RecordKernel } from "@millrace/engine";

/** Raises with every change of what the addon exports; `INTERFACE` in native/node/src/lib.rs. */
const INTERFACE = 19;

export interface Addon {
  interfaceVersion(): number;
  checkRecords(bytes: Uint8Array, from: number, to: number): number;
  sealBlock(
    buffer: Uint8Array,
    used: number,
    align: number,
    salt: Uint8Array,
    seq: number,
    first: number,
    count: number,
    prev: number,
    epoch: number,
    kind: number,
  ): number;
  /** flock(2) without waiting: 1 locked, 0 held, -1 unavailable. */
  lockFile(fd: number): number;
  leafHashes(bytes: Uint8Array, places: Uint32Array): Promise<Uint8Array>;
  tileRoots(tiles: Uint8Array): Promise<Uint8Array>;
  readonly SegmentHash: new () => SegmentHash;
  readonly Zstd: new () => Zstd;
  readonly CsvRecords: new (delimiter: number, types: Uint8Array, recordBytesMax: number) => RecordKernel;
  readonly JsonRecords: new (names: string[], recordBytesMax: number) => RecordKernel;
  readonly NativeCalculator: new (
    file: string,
    config: Uint8Array,
    graph: string,
    node: string,
    rows: Uint8Array,
    answer: Uint8Array,
  ) => NativeCalculator;
  /**
   * Of the first `length` bytes of the calculator's shared rows. Length of the answer, which is in the shared array when it fits,
   * else in `longAnswer()`. `places`: of payloads, as msgpack.
   */
  calculatorBatch(number: number, length: number, at: number, places?: Uint8Array): number;
  selectComparing(
    op: number,
    cells: Float64Array | Int32Array,
    limit: number,
    n: number,
    into: Uint32Array,
    at: number,
  ): number;
  selectEntries(
    entries: Uint8Array,
    codes: Uint32Array | Uint16Array,
    n: number,
    into: Uint32Array,
    at: number,
  ): number;
  selectCondition(
    steps: Uint32Array,
    cells: readonly (Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array)[],
    limits: Float64Array,
    entries: readonly Uint8Array[],
    n: number,
    into: Uint32Array,
    at: number,
  ): number;
  /** Of the first `n` keys of a text, written from `at` on. */
  placeKeys(text: string, ends: Uint32Array, n: number, partitions: number, into: Int32Array, at: number): void;
  readonly WindowGroups: new (sizeMs: number, cells: Uint32Array) => WindowGroups;
  /** Whether a store under `dir` was left by processes that are gone, and nothing of it has changed for so long. */
  isLodgeAbandoned(dir: string, ageMs: number): boolean;
  readonly Lodge: new (dir: string, options: LodgeOptions) => Lodge;
}

/**
 * A library with the C ABI of calculators, inside of this process. What it is given and answers is msgpack, in the two arrays that
 * it was made with: they must be left as they are, neither detached nor resized.
 */
export interface NativeCalculator {
  describe(): Uint8Array;
  /** What {@link Addon.calculatorBatch} knows it by, in this thread and as long as this object is kept. */
  readonly number: number;
  /** Of rows that the shared array does not hold. */
  longBatch(rows: Uint8Array, at: number, places?: Uint8Array): number;
  /** Payloads that were opened since it was last asked. */
  takeOpens(): number;
  longAnswer(): Uint8Array;
}

/** Zstandard frames (native/crates/zstd). */
export interface Zstd {
  compress(bytes: Uint8Array): Uint8Array;
  /** At most `bytesMax` bytes, which are below 2^32. */
  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array;
}

/** SHA-256 of a segment (native/crates/hash). */
export interface SegmentHash {
  update(bytes: Uint8Array): void;
  /** Of all that came. Waits for its thread, which ends; what comes after it begins anew. */
  digest(): Uint8Array;
  /** Ends its thread; what waits for it is not hashed. Nothing is asked of it any more. */
  discard(): void;
}

/** Groups of open windows (native/crates/window-groups); what the calls mean is `GroupKernel` of the engine. */
export interface WindowGroups {
  accumulate(
    at: Uint32Array | null,
    times: Float64Array,
    keys: Uint32Array,
    keyCount: number,
    values: readonly (Float64Array | Int32Array)[],
    nulls: readonly (Uint8Array | null)[],
  ): void;
  end(limit: number): number;
  firstDue(): number;
  take(most: number): number;
  changed(): number;
  all(): number;
  nextStart(from: number): number;
  combine(from: number, to: number): number;
  read(starts: Float64Array, keys: Uint32Array, cells: Float64Array): void;
  seal(): number;
  discard(): void;
  write(starts: Float64Array, keys: Uint32Array, keyCount: number, cells: Float64Array): void;
  renumber(numbers: Uint32Array): void;
}

export interface LodgeOptions {
  readonly bytesMax: number;
  readonly leasedBytesMax: number;
  readonly machineBytesMax: number;
  readonly slots: number;
  readonly leaseMs: number;
}

/** The payload store of the addon (native/crates/lodge). Formats are numbers: raw, msgpack, json, npy, arrow. */
export interface Lodge {
  id(): string;
  /** Id and checksum of the payload, with a space between them. */
  put(bytes: Uint8Array, format: number): string | null;
  reserve(length: number, format: number): LodgeReservation | null;
  discard(id: string, format: number, length: number, hash: string): void;
  /** Number of the new lease; -1 when the token does not resolve. */
  acquire(id: string, format: number, length: number, hash: string): number;
  /** Copies a payload into an array of its length. False when the token does not resolve. */
  copy(id: string, format: number, hash: string, into: Uint8Array): boolean;
  /** Makes views of a buffer empty. */
  detach(buffer: ArrayBuffer): void;
  /** A view of the payload, detached by `release`. */
  buffer(lease: number): ArrayBuffer;
  /** The file that holds the payload, as a number that no other has; -1 when it lies in no file that is mapped whole. */
  segmentOf(lease: number): number;
  /** All of that file. Never detached: what a lease does not hold shows anything. */
  segment(lease: number): ArrayBuffer;
  /** Of the payload's first byte in it. */
  offsetIn(lease: number): number;
  isValid(lease: number): boolean;
  pin(lease: number): boolean;
  /** File and offset of the payload; `null` for a copy. */
  place(lease: number): { readonly path: string; readonly offset: number } | null;
  unpin(lease: number): void;
  /** Takes the view that was asked for, if one was. The number is free then. */
  release(lease: number, buffer?: ArrayBuffer): boolean;
  stats(): { readonly payloads: number; readonly bytes: number; readonly leases: number; readonly fileBytes: number };
  sweep(): void;
  close(): void;
}

export interface LodgeReservation {
  /** Where the payload is to be written, detached by `publish` and `giveUp`. */
  buffer(): ArrayBuffer;
  /** As {@link Lodge.put}. */
  publish(buffer: ArrayBuffer): string | null;
  giveUp(buffer: ArrayBuffer): void;
}

/** Whether the addon is in use and, if not, why. */
export type AddonState = { readonly inUse: true } | { readonly inUse: false; readonly reason: string };

/** Beside `src` and `dist`, put there by `npm run native`. */
const FILE = "../millrace.node";

let found: { readonly addon: Addon } | { readonly reason: string } | undefined;

/** The addon, loaded once. `undefined` where it was not built, does not fit this machine, or `MILLRACE_NATIVE=off`. */
export function loadAddon(): Addon | undefined {
  found ??= find();
  return "addon" in found ? found.addon : undefined;
}

export function addonState(): AddonState {
  found ??= find();
  return "addon" in found ? { inUse: true } : { inUse: false, reason: found.reason };
}

function find(): { readonly addon: Addon } | { readonly reason: string } {
  if (process.env.MILLRACE_NATIVE === "off") return { reason: "MILLRACE_NATIVE=off" };
  try {
    const addon = createRequire(import.meta.url)(FILE) as Addon;
    const version = addon.interfaceVersion();
    if (version === INTERFACE) return { addon };
    return { reason: `it has interface ${version}, not ${INTERFACE}; npm run native builds it again` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { reason: code === "MODULE_NOT_FOUND" ? absence() : message };
  }
}

/** `npm start` says when it builds the addon beside. */
function absence(): string {
  if (process.env.MILLRACE_NATIVE_BUILDS !== undefined) return "it is being built, for the next start";
  return "it is not built (npm run native)";
}
