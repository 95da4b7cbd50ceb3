/** Tiles as files, one each, at the paths of tlog-tiles below a directory: any web server can serve them. */
import type { Disk } from "@millrace/engine";
import type { TileBytes } from "./growing-tree.ts";
import { HASH_BYTES } from "./merkle.ts";
import { TILE_WIDTH, type Tile, tilePath } from "./tile.ts";
import { readWhole, writeDurably } from "./whole-file.ts";

/** Files that are on their way to the disk at once: their syncs share journal commits. */
const WRITES_AT_ONCE = 16;

export class TileFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  /** Directories that are known to be there, durably. */
  readonly #made = new Set<string>();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  pathOf(tile: Tile): string {
    return `${this.#directory}/${tilePath(tile)}`;
  }

  /** The hashes of a tile; of a partial one that has become full since, the first of them. `undefined` when neither is there whole. */
  async read(tile: Tile): Promise<Uint8Array | undefined> {
    const bytes = tile.width * HASH_BYTES;
    for (const width of new Set([tile.width, TILE_WIDTH])) {
      const found = await readWhole(this.#disk, this.pathOf({ ...tile, width }));
      if (found?.length === width * HASH_BYTES) return found.subarray(0, bytes);
    }
    return undefined;
  }

  /** Writes tiles, and resolves when bytes and names of all of them are durable. */
  async write(tiles: readonly TileBytes[]): Promise<void> {
    const directories = new Set(tiles.map(({ tile }) => parentOf(this.pathOf(tile))));
    for (const directory of directories) await this.#make(directory);
    for (let at = 0; at < tiles.length; at += WRITES_AT_ONCE) {
      const some = tiles.slice(at, at + WRITES_AT_ONCE);
      const written = some.map(({ tile, bytes }) => writeDurably(this.#disk, this.pathOf(tile), bytes));
      // All have ended when this fails, so that another try does not meet them.
      await Promise.allSettled(written);
      await Promise.all(written);
    }
    for (const directory of directories) await this.#disk.syncDirectory(directory);
  }

  /** Removes the partial tiles that a full one has taken the place of. */
  async removePartials(full: Tile): Promise<void> {
    const directory = `${this.pathOf({ ...full, width: TILE_WIDTH })}.p`;
    if (!(await this.#isThere(directory))) return;
    for (const name of await this.#disk.list(directory)) await this.#disk.unlink(`${directory}/${name}`);
    await this.#disk.syncDirectory(directory);
    await this.#disk.removeDirectory(directory);
    this.#made.delete(directory);
  }

  async #isThere(directory: string): Promise<boolean> {
    const name = directory.slice(directory.lastIndexOf("/") + 1);
    if (this.#made.has(directory)) return true;
    const names = await this.#disk.list(parentOf(directory));
    return names.some((found) => found === name || found.startsWith(`${name}/`));
  }

  /** A new directory's name is durable once its parent is synced. */
  async #make(directory: string): Promise<void> {
    if (this.#made.has(directory) || directory.length <= this.#directory.length) return;
    await this.#make(parentOf(directory));
    await this.#disk.makeDirectory(directory);
    await this.#disk.syncDirectory(parentOf(directory));
    this.#made.add(directory);
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
