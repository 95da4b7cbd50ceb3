/** Open segment files for reading, shared by all readers; idle ones beyond a limit are closed. */
import type { Disk, DiskFile } from "@millrace/engine";
import { readFully, segmentPath } from "./segment-files.ts";

const IDLE_FILES_MAX = 16;

interface OpenFile {
  readonly file: Promise<DiskFile>;
  users: number;
}

export class SegmentReaders {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #files = new Map<number, OpenFile>();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  pathOf(serial: number): string {
    return segmentPath(this.#directory, serial);
  }

  /** Fills `into` from `offset` of a segment. */
  read(serial: number, into: Uint8Array, offset: number): Promise<void> {
    return this.#use(serial, (file) => readFully(file, into, offset, this.pathOf(serial)));
  }

  size(serial: number): Promise<number> {
    return this.#use(serial, (file) => file.size());
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const { file } of files) await (await file).close();
  }

  async #use<T>(serial: number, use: (file: DiskFile) => Promise<T>): Promise<T> {
    let entry = this.#files.get(serial);
    if (entry === undefined) {
      entry = { file: this.#disk.open(this.pathOf(serial), { mode: "read" }), users: 0 };
      this.#files.set(serial, entry);
    }
    entry.users++;
    try {
      return await use(await entry.file);
    } catch (thrown) {
      // A file that did not open is not kept, so that the next reader tries again.
      if (this.#files.get(serial) === entry) this.#files.delete(serial);
      throw thrown;
    } finally {
      entry.users--;
      await this.#closeIdle();
    }
  }

  async #closeIdle(): Promise<void> {
    for (const [serial, entry] of this.#files) {
      if (this.#files.size <= IDLE_FILES_MAX) return;
      if (entry.users > 0) continue;
      this.#files.delete(serial);
      await (await entry.file).close();
    }
  }
}
