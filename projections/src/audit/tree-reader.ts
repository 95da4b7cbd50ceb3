/** Hashes of a tree of a given size, from its tiles: what proofs are made of. Full tiles are kept for the next proof. */
import { auditError } from "./audit-errors.ts";
import { hashesOf, nodeHash, rootOf } from "./merkle.ts";
import { TILE_WIDTH, type Tile, tileIn } from "./tile.ts";

const TILE_HEIGHT = 8;
const TILES_KEPT = 256;

/** The inner hashes of a tile: `levels[k]` holds the roots of its groups of 2^k hashes. */
type TileNodes = readonly (readonly Uint8Array[])[];

/** Where tiles are read. */
export interface TileSource {
  /** The file that holds the tile, for errors. */
  pathOf(tile: Tile): string;
  /** The hashes of a tile, also of one that has grown since; `undefined` when it is not there whole. */
  read(tile: Tile): Promise<Uint8Array | undefined>;
}

export class TreeReader {
  readonly size: number;
  readonly #tiles: TileSource;
  readonly #kept = new Map<string, TileNodes>();

  /** @param size of the tree whose tiles are read, or of an earlier one */
  constructor(tiles: TileSource, size: number) {
    this.#tiles = tiles;
    this.size = size;
  }

  /**
   * Root of the subtree over the leaves `[from, to)`, as the tree splits them.
   *
   * @throws AUDIT-TILE a tile is missing or too short
   */
  async rangeRoot(from: number, to: number): Promise<Uint8Array> {
    const leaves = to - from;
    if (leaves === 0) return rootOf([]);
    if (isPowerOfTwo(leaves)) return this.#node(from, Math.round(Math.log2(leaves)));
    const middle = from + splitOf(leaves);
    return nodeHash(await this.rangeRoot(from, middle), await this.rangeRoot(middle, to));
  }

  /** Root of the full subtree of `2^height` leaves that begins at `from`. */
  async #node(from: number, height: number): Promise<Uint8Array> {
    const level = Math.floor(height / TILE_HEIGHT);
    const within = height % TILE_HEIGHT;
    const first = from / TILE_WIDTH ** level;
    const index = Math.floor(first / TILE_WIDTH);
    const nodes = await this.#nodesOf(level, index);
    return nodes[within]?.[(first % TILE_WIDTH) / 2 ** within] as Uint8Array;
  }

  async #nodesOf(level: number, index: number): Promise<TileNodes> {
    const key = `${level}/${index}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const tile = tileIn(this.size, level, index);
    const bytes = await this.#tiles.read(tile);
    if (bytes === undefined) {
      const place = { file: this.#tiles.pathOf(tile) };
      throw auditError("AUDIT-TILE", `tile ${index} of level ${level} is missing`, { place });
    }
    const nodes = nodesAbove(hashesOf(bytes));
    if (this.#kept.size >= TILES_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? "");
    this.#kept.set(key, nodes);
    return nodes;
  }
}

/** The largest power of two below `leaves`: how many of them are in the left subtree (RFC 6962, section 2.1). */
export function splitOf(leaves: number): number {
  let split = 1;
  while (split * 2 < leaves) split *= 2;
  return split;
}

/** Of whole numbers from 1 on. */
export function isPowerOfTwo(leaves: number): boolean {
  return leaves === 1 || splitOf(leaves) * 2 === leaves;
}

function nodesAbove(hashes: readonly Uint8Array[]): TileNodes {
  const levels = [hashes];
  for (let below = hashes; below.length > 1; below = levels.at(-1) as readonly Uint8Array[]) {
    const above: Uint8Array[] = [];
    for (let i = 0; i + 1 < below.length; i += 2)
      above.push(nodeHash(below[i] as Uint8Array, below[i + 1] as Uint8Array));
    levels.push(above);
  }
  return levels;
}
