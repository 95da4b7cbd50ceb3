/**
 * The full tiles of a tree, a file for each level in which they lie one after the other: a tile has its place from the moment that
 * it is full, and whoever has written many syncs a file once. A place is never written again once a frontier covers it, and it
 * shares no sector with another; what lies behind the newest frontier is what a crash has left, and is written over.
 */
import type { Disk, DiskFile } from "@millrace/engine";
import type { TileRun } from "./growing-tree.ts";
import { HASH_BYTES } from "./merkle.ts";
import { TILE_WIDTH } from "./tile.ts";
import { openIfThere, writeWhole } from "./whole-file.ts";

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

export class TileLevels {
  readonly #disk: Disk;
  readonly #directory: string;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  pathOf(level: number): string {
    return `${this.#directory}/level-${level}`;
  }

  /** The hashes of a full tile; `undefined` when it is not there whole. */
  async read(level: number, index: number): Promise<Uint8Array | undefined> {
    const file = await openIfThere(this.#disk, this.pathOf(level), "read");
    if (file === undefined) return undefined;
    try {
      const bytes = Buffer.alloc(TILE_BYTES);
      return (await file.read(bytes, index * TILE_BYTES)) === TILE_BYTES ? bytes : undefined;
    } finally {
      await file.close();
    }
  }

  /** The first file that is too short for the full tiles of a tree of `size` leaves. */
  async shortFor(size: number): Promise<string | undefined> {
    for (let level = 0, full = tilesIn(size); full > 0; level++, full = tilesIn(full)) {
      const found = await this.#disk.stat(this.pathOf(level));
      if ((found?.sizeBytes ?? 0) < full * TILE_BYTES) return this.pathOf(level);
    }
    return undefined;
  }

  /** Writes full tiles, and resolves when all of them are durable. */
  async write(runs: readonly TileRun[]): Promise<void> {
    const levels = new Map<number, TileRun[]>();
    for (const run of runs) {
      const ofLevel = levels.get(run.level);
      if (ofLevel === undefined) levels.set(run.level, [run]);
      else ofLevel.push(run);
    }
    const written = [...levels].map(([level, some]) => this.#writeLevel(level, some));
    // All have ended when this fails, so that another try does not meet them.
    await Promise.allSettled(written);
    await Promise.all(written);
  }

  async #writeLevel(level: number, runs: readonly TileRun[]): Promise<void> {
    const file = await this.#opened(level);
    try {
      for (const { index, bytes } of runs) await writeWhole(file, bytes, index * TILE_BYTES);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** A new file's name is durable once the directory is synced. */
  async #opened(level: number): Promise<DiskFile> {
    const path = this.pathOf(level);
    const found = await openIfThere(this.#disk, path, "write");
    if (found !== undefined) return found;
    const file = await this.#disk.open(path, { mode: "create" });
    await this.#disk.syncDirectory(this.#directory);
    return file;
  }
}

function tilesIn(hashes: number): number {
  return Math.floor(hashes / TILE_WIDTH);
}
