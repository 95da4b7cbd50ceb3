/** A simulated disk as one process sees it: the {@link Disk} port with latencies; once dead, its operations never end. */
import { type Disk, DiskError, type DiskFile, type FileStat, type LockKind, type OpenOptions } from "../disk/disk.ts";
import type { FlyingWrite, SimulatedDisk } from "./simulated-disk.ts";
import { type SimulatedFile, sectorsOf } from "./simulated-file.ts";

export class SimulatedMount implements Disk {
  readonly disk: SimulatedDisk;
  readonly #handles = new WeakSet<object>();
  #alive = true;

  constructor(disk: SimulatedDisk) {
    this.disk = disk;
    disk.attach(this);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** kill -9 of the process that mounted the disk. */
  kill(): void {
    this.disk.kill(this);
  }

  die(): void {
    this.#alive = false;
  }

  owns(handle: object): boolean {
    return this.#handles.has(handle);
  }

  open(path: string, options: OpenOptions): Promise<DiskFile> {
    return this.act(() => {
      this.#mayFail("open", path);
      const file = options.mode === "create" ? this.disk.create(path) : this.disk.file(path);
      const handle = new SimulatedHandle(this, file, path, options);
      this.#handles.add(handle);
      return handle;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.act(() => {
      this.#mayFail("rename", from);
      this.disk.rename(from, to);
    });
  }

  unlink(path: string): Promise<void> {
    return this.act(() => {
      this.#mayFail("unlink", path);
      this.disk.unlink(path);
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.act(() => this.disk.makeDirectory(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.act(() => this.disk.removeDirectory(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.act(() => {
      this.#mayFail("syncDirectory", path);
      this.disk.syncDirectory(path);
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.act(() => this.disk.namesIn(path));
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.act(() => (this.disk.has(path) ? { sizeBytes: this.disk.file(path).cache.length } : undefined));
  }

  /** Runs `effect` after a latency, unless the process is dead by then; then the promise never settles. */
  act<T>(effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.disk.env.timers.after(this.disk.latencyMs(), () => {
        if (!this.#alive) return;
        try {
          resolve(effect());
        } catch (thrown) {
          reject(thrown as Error);
        }
      });
    });
  }

  #mayFail(operation: "open" | "rename" | "unlink" | "syncDirectory", path: string): void {
    const failure = this.disk.failing(operation, path);
    if (failure !== undefined) throw failure;
  }
}

class SimulatedHandle implements DiskFile {
  readonly #mount: SimulatedMount;
  readonly #file: SimulatedFile;
  readonly #path: string;
  readonly #options: OpenOptions;
  #open = true;

  constructor(mount: SimulatedMount, file: SimulatedFile, path: string, options: OpenOptions) {
    this.#mount = mount;
    this.#file = file;
    this.#path = path;
    this.#options = options;
  }

  get #disk(): SimulatedDisk {
    return this.#mount.disk;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#mount.act(() => {
      this.#mustBeOpen();
      const failure = this.#disk.failing("read", this.#path);
      if (failure !== undefined) throw failure;
      const found = this.#file.cache.subarray(position, position + into.length);
      into.set(found);
      return found.length;
    });
  }

  /** First the page cache has it, then, for DSYNC, the medium; a process that dies in between leaves it there. */
  write(bytes: Uint8Array, position: number): Promise<number> {
    this.#mustBeOpen();
    if (this.#options.mode === "read") throw new DiskError("EBADF", `${this.#path} is open for reading`);
    const write: FlyingWrite = {
      file: this.#file,
      bytes: bytes.slice(),
      position,
      dsync: this.#options.dsync === true,
      mount: this.#mount,
      landed: false,
    };
    this.#disk.flying.add(write);
    return new Promise((resolve, reject) => {
      this.#later(() => this.#land(write, resolve, reject));
    });
  }

  sync(): Promise<void> {
    return this.#mount.act(() => {
      this.#mustBeOpen();
      const failure = this.#disk.failing("sync", this.#path) ?? this.#chanceFailure();
      if (failure !== undefined) {
        this.#lie(sectorsOf(0, this.#file.cache.length).filter((sector) => this.#file.dirty.has(sector)));
        throw failure;
      }
      if (this.#file.cache.length < this.#file.durable.length)
        this.#file.durable = this.#file.durable.slice(0, this.#file.cache.length);
      this.#file.writeBack([...this.#file.dirty], true);
    });
  }

  size(): Promise<number> {
    return this.#mount.act(() => this.#file.cache.length);
  }

  tryLock(): Promise<LockKind | undefined> {
    return this.#mount.act(() => {
      this.#mustBeOpen();
      if (this.#file.lockedBy !== undefined && this.#file.lockedBy !== this) return undefined;
      this.#file.lockedBy = this;
      return "flock";
    });
  }

  async close(): Promise<void> {
    this.#open = false;
    if (this.#mount.alive && this.#file.lockedBy === this) this.#file.lockedBy = undefined;
  }

  #land(write: FlyingWrite, resolve: (count: number) => void, reject: (error: Error) => void): void {
    if (!this.#disk.flying.has(write)) return;
    const failure = this.#disk.failing("write", this.#path);
    const room = this.#room(write);
    if (room < write.bytes.length || (failure !== undefined && failure.code !== "EIO")) {
      this.#disk.flying.delete(write);
      if (room < write.bytes.length) this.#disk.counts.noSpace++;
      this.#file.writeCache(
        write.bytes.subarray(0, Math.max(0, Math.min(room, write.bytes.length >> 1))),
        write.position,
      );
      reject(failure ?? new DiskError("ENOSPC", `no space for ${write.bytes.length} bytes of ${this.#path}`));
      return;
    }
    this.#file.writeCache(write.bytes, write.position);
    write.landed = true;
    this.#later(() => this.#finish(write, failure, resolve, reject));
  }

  #finish(
    write: FlyingWrite,
    planned: DiskError | undefined,
    resolve: (count: number) => void,
    reject: (error: Error) => void,
  ): void {
    if (!this.#disk.flying.delete(write)) return;
    const sectors = sectorsOf(write.position, write.position + write.bytes.length);
    const failure = planned ?? (write.dsync ? this.#chanceFailure() : undefined);
    if (failure !== undefined) {
      this.#lie(sectors);
      reject(failure);
      return;
    }
    if (write.dsync) this.#makeDurable(sectors);
    resolve(write.bytes.length);
  }

  #makeDurable(sectors: readonly number[]): void {
    if (this.#disk.writesToLose > 0) {
      this.#disk.writesToLose--;
      this.#disk.counts.lostWrites++;
      for (const sector of sectors) this.#file.dirty.delete(sector);
      return;
    }
    this.#file.writeBack(sectors, true);
  }

  /** What a failed sync leaves: some sectors on the medium, all of them clean in the cache. */
  #lie(sectors: readonly number[]): void {
    this.#disk.counts.syncErrors++;
    const landed = this.#disk.random.chance(0.5) ? sectors.filter(() => this.#disk.random.chance(0.5)) : [];
    this.#file.writeBack(landed, true);
    for (const sector of sectors) this.#file.dirty.delete(sector);
  }

  #chanceFailure(): DiskError | undefined {
    const { syncErrorChance, random } = this.#disk;
    if (syncErrorChance === 0 || !random.chance(syncErrorChance)) return undefined;
    return new DiskError("EIO", `sync of ${this.#path}`);
  }

  #room(write: FlyingWrite): number {
    const extends_ = Math.max(0, write.position + write.bytes.length - this.#file.cache.length);
    const free = this.#disk.capacityBytes - this.#disk.usedBytes();
    return extends_ <= free ? write.bytes.length : Math.max(0, write.bytes.length - (extends_ - free));
  }

  #later(run: () => void): void {
    this.#disk.env.timers.after(this.#disk.latencyMs(), run);
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new DiskError("EBADF", `${this.#path} is closed`);
  }
}
