/**
 * The tiles of a log's tree, wherever they lie: full ones in the files of their levels, those of the right edge in the frontier.
 * Whoever reads tiles reads them here.
 */
import type { Disk } from "@millrace/engine";
import { edgeAt, type Frontier } from "./frontier.ts";
import { HASH_BYTES } from "./merkle.ts";
import { TILE_WIDTH, type Tile, tileIn } from "./tile.ts";
import { TileLevels } from "./tile-levels.ts";
import type { TileSource } from "./tree-reader.ts";

export class AuditTiles implements TileSource {
  readonly levels: TileLevels;
  readonly #directory: string;
  readonly #frontier: () => Promise<Frontier | "damaged" | undefined>;

  constructor(disk: Disk, directory: string, frontier: () => Promise<Frontier | "damaged" | undefined>) {
    this.levels = new TileLevels(disk, directory);
    this.#directory = directory;
    this.#frontier = frontier;
  }

  pathOf({ level, width }: Tile): string {
    return width === TILE_WIDTH ? this.levels.pathOf(level) : `${this.#directory}/frontier`;
  }

  /**
   * A full one must be of a tree that has been signed: behind the frontier, a level's file has anything. One that is not full has
   * its place in the frontier until it is, and is the beginning of what it has become.
   */
  async read(tile: Tile): Promise<Uint8Array | undefined> {
    if (tile.width === TILE_WIDTH) return this.levels.read(tile.level, tile.index);
    const frontier = await this.#frontier();
    return typeof frontier === "object" ? this.#beginningOf(frontier, tile) : undefined;
  }

  /** The same for any tile: `undefined` when the frontier does not cover it. */
  async covered(tile: Tile): Promise<Uint8Array | undefined> {
    const frontier = await this.#frontier();
    return typeof frontier === "object" ? this.#beginningOf(frontier, tile) : undefined;
  }

  async #beginningOf(frontier: Frontier, tile: Tile): Promise<Uint8Array | undefined> {
    const { level, index } = tile;
    const { width } = tileIn(frontier.size, level, index);
    const bytes = width === TILE_WIDTH ? await this.levels.read(level, index) : edgeAt(frontier, level);
    if (width < tile.width || bytes?.length !== width * HASH_BYTES) return undefined;
    return bytes.subarray(0, tile.width * HASH_BYTES);
  }
}
