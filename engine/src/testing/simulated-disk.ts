/**
 * A disk for simulations: files with a page cache and a medium, directories whose entries are durable only after a sync, locks
 * bound to descriptors, and the faults of the embedded log's specification. Driven by a virtual {@link Env} for latencies and by
 * a seeded random for everything that chance decides.
 *
 * The disk belongs to the machine; every process has a `SimulatedMount` of its own and can be killed
 * alone (its page cache stays). {@link SimulatedDisk.powerCut} kills all of them and takes the cache away.
 */
import { DiskError } from "../disk/disk.ts";
import type { Env } from "../time/clock.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { SimulatedFile, sectorsOf } from "./simulated-file.ts";

/** Operations that can be told to fail. `write` covers both kinds of descriptors, `sync` files only. */
export type DiskOperation = "open" | "read" | "write" | "sync" | "rename" | "unlink" | "syncDirectory";

export interface SimulatedDiskOptions {
  readonly env: Env;
  readonly random: SeededRandom;
  /** Bytes all files together may have; beyond it writes fail with ENOSPC. Default unlimited; may change at any time. */
  readonly capacityBytes?: number;
  /** Slowest latency of an operation, in virtual ms. Default 2. */
  readonly latencyMsMax?: number;
}

/** How often each fault really happened, so that a test can refuse to pass without any. */
export interface DiskFaultCounts {
  powerCuts: number;
  kills: number;
  tornWrites: number;
  delayedWrites: number;
  syncErrors: number;
  noSpace: number;
  lostWrites: number;
}

interface DirectoryChange {
  readonly directory: string;
  readonly from?: string;
  readonly to?: string;
  readonly file: SimulatedFile;
}

interface PlannedFailure {
  readonly operation: DiskOperation;
  readonly code: string;
  skip: number;
  readonly path: RegExp | undefined;
}

/** A process that sees the disk, as far as the disk knows it. */
export interface AttachedMount {
  readonly alive: boolean;
  /** From now on its operations never end. */
  die(): void;
  /** True for handles that this process opened. */
  owns(handle: object): boolean;
}

/** A write on its way; `landed` once the page cache has it. */
export interface FlyingWrite {
  readonly file: SimulatedFile;
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly dsync: boolean;
  readonly mount: AttachedMount;
  landed: boolean;
}

export class SimulatedDisk {
  readonly env: Env;
  readonly random: SeededRandom;
  readonly counts: DiskFaultCounts = {
    powerCuts: 0,
    kills: 0,
    tornWrites: 0,
    delayedWrites: 0,
    syncErrors: 0,
    noSpace: 0,
    lostWrites: 0,
  };
  capacityBytes: number;
  latencyMsMax: number;
  /** Probability that a DSYNC write or a sync fails with EIO and the cache lies afterwards. */
  syncErrorChance = 0;
  /** The next DSYNC writes that report success and never reach the medium. */
  writesToLose = 0;
  readonly #entries = new Map<string, SimulatedFile>();
  readonly #durableEntries = new Map<string, SimulatedFile>();
  readonly #directories = new Set<string>(["/"]);
  #changes: DirectoryChange[] = [];
  readonly #mounts = new Set<AttachedMount>();
  readonly #failures: PlannedFailure[] = [];
  readonly flying: Set<FlyingWrite> = new Set();

  constructor(options: SimulatedDiskOptions) {
    this.env = options.env;
    this.random = options.random;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.latencyMsMax = options.latencyMsMax ?? 2;
  }

  /** A process begins to see the disk; called by its mount. */
  attach(mount: AttachedMount): void {
    this.#mounts.add(mount);
  }

  /** kill -9 of one process: the cache stays; a write in flight may not happen, happen in part, or land later. */
  kill(mount: AttachedMount): void {
    if (!mount.alive) return;
    mount.die();
    this.#mounts.delete(mount);
    this.counts.kills++;
    for (const write of [...this.flying]) if (write.mount === mount) this.#orphan(write);
    this.#releaseLocks(mount);
  }

  powerCut(): void {
    this.counts.powerCuts++;
    for (const mount of this.#mounts) mount.die();
    this.#mounts.clear();
    for (const write of this.flying) {
      if (!write.dsync && !write.landed) continue;
      write.file.tear(write.bytes, write.position, this.random);
      this.counts.tornWrites++;
    }
    this.flying.clear();
    this.#cutDirectories();
    for (const file of new Set(this.#durableEntries.values())) file.powerCut(this.random);
  }

  /** The operation fails once with `code`, after `skip` more that succeed; `path` narrows it. The effect is that of a real failure. */
  failNext(
    operation: DiskOperation,
    code: string,
    options: { readonly skip?: number; readonly path?: RegExp } = {},
  ): void {
    this.#failures.push({ operation, code, skip: options.skip ?? 0, path: options.path });
  }

  /** Bytes of a file as a reader sees them now, a copy. */
  bytesOf(path: string): Uint8Array {
    return this.file(path).cache.slice();
  }

  /** Replaces or makes a file, durably: for damage and for putting older copies back. */
  put(path: string, bytes: Uint8Array): void {
    const file = new SimulatedFile();
    file.cache = bytes.slice();
    file.durable = bytes.slice();
    this.#entries.set(path, file);
    this.#durableEntries.set(path, file);
  }

  /** Removes a file, durably. */
  remove(path: string): void {
    this.#entries.delete(path);
    this.#durableEntries.delete(path);
  }

  /** Changes bytes of a file on the medium and in the cache. */
  damage(path: string, change: (bytes: Uint8Array) => void): void {
    const file = this.file(path);
    change(file.cache);
    change(file.durable);
  }

  flipBit(path: string, byteOffset: number, bit = 0): void {
    this.damage(path, (bytes) => {
      bytes[byteOffset] = (bytes[byteOffset] as number) ^ (1 << bit);
    });
  }

  /** Paths of all files. */
  paths(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Every file's bytes as a reader sees them, for comparing two moments. */
  image(): Map<string, Uint8Array> {
    return new Map(this.paths().map((path) => [path, this.bytesOf(path)]));
  }

  file(path: string): SimulatedFile {
    const file = this.#entries.get(path);
    if (file === undefined) throw new DiskError("ENOENT", `no such file: ${path}`);
    return file;
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  makeDirectory(path: string): void {
    this.#directories.add(path);
  }

  removeDirectory(path: string): void {
    if (this.namesIn(path).length > 0) throw new DiskError("ENOTEMPTY", `the directory has files: ${path}`);
    this.#directories.delete(path);
  }

  create(path: string): SimulatedFile {
    const existing = this.#entries.get(path);
    if (existing !== undefined) {
      existing.truncate();
      return existing;
    }
    const file = new SimulatedFile();
    this.#entries.set(path, file);
    this.#changes.push({ directory: parentOf(path), to: path, file });
    return file;
  }

  rename(from: string, to: string): void {
    const file = this.file(from);
    this.#entries.delete(from);
    this.#entries.set(to, file);
    this.#changes.push({ directory: parentOf(to), from, to, file });
  }

  unlink(path: string): void {
    const file = this.file(path);
    this.#entries.delete(path);
    this.#changes.push({ directory: parentOf(path), from: path, file });
  }

  namesIn(directory: string): string[] {
    const prefix = directory.endsWith("/") ? directory : `${directory}/`;
    if (!this.#directories.has(directory)) throw new DiskError("ENOENT", `no such directory: ${directory}`);
    return [...this.#entries.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
  }

  syncDirectory(directory: string): void {
    for (const change of this.#changes) if (change.directory === directory) this.#apply(change);
    this.#changes = this.#changes.filter((change) => change.directory !== directory);
  }

  /** Throws the planned failure of this operation, if its turn has come. */
  failing(operation: DiskOperation, path: string): DiskError | undefined {
    const at = this.#failures.findIndex((f) => f.operation === operation && (f.path?.test(path) ?? true));
    const failure = this.#failures[at];
    if (failure === undefined) return undefined;
    if (failure.skip-- > 0) return undefined;
    this.#failures.splice(at, 1);
    return new DiskError(failure.code, `${operation} of ${path} (planned)`);
  }

  usedBytes(): number {
    let used = 0;
    for (const file of this.#entries.values()) used += file.cache.length;
    return used;
  }

  latencyMs(): number {
    return this.random.unit() * this.latencyMsMax;
  }

  #orphan(write: FlyingWrite): void {
    this.flying.delete(write);
    if (write.landed) {
      if (this.random.chance(0.5))
        write.file.writeBack(sectorsOf(write.position, write.position + write.bytes.length), true);
      return;
    }
    const fate = this.random.below(3);
    if (fate === 0) return;
    if (fate === 1) {
      const pages = this.random.below(Math.ceil(write.bytes.length / 4096) + 1);
      write.file.writeCache(write.bytes.subarray(0, pages * 4096), write.position);
      return;
    }
    this.#landLater(write);
  }

  /** The kernel still holds the dead process's descriptor, and its lock, until the write has ended. */
  #landLater(write: FlyingWrite): void {
    this.counts.delayedWrites++;
    const holder = write.file.lockedBy;
    const orphan: FlyingWrite = { ...write };
    this.flying.add(orphan);
    this.env.timers.after(this.latencyMs() * 20, () => {
      if (!this.flying.delete(orphan)) return;
      write.file.writeCache(write.bytes, write.position);
      if (write.dsync) write.file.writeBack(sectorsOf(write.position, write.position + write.bytes.length), true);
      if (write.file.lockedBy === holder) write.file.lockedBy = undefined;
    });
  }

  #releaseLocks(mount: AttachedMount): void {
    const busy = new Set([...this.flying].filter((write) => write.mount === mount).map((write) => write.file));
    for (const file of this.#entries.values()) {
      if (!busy.has(file) && file.lockedBy !== undefined && mount.owns(file.lockedBy)) file.lockedBy = undefined;
    }
  }

  #apply(change: DirectoryChange): void {
    if (change.from !== undefined) this.#durableEntries.delete(change.from);
    if (change.to !== undefined) this.#durableEntries.set(change.to, change.file);
  }

  /** Of each directory's unsynced changes a prefix, in order, has reached the medium. */
  #cutDirectories(): void {
    for (const directory of new Set(this.#changes.map((change) => change.directory))) {
      const pending = this.#changes.filter((change) => change.directory === directory);
      for (const change of pending.slice(0, this.random.below(pending.length + 1))) this.#apply(change);
    }
    this.#changes = [];
    this.#entries.clear();
    for (const [path, file] of this.#durableEntries) this.#entries.set(path, file);
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}
