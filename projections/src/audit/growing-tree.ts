/**
 * A Merkle tree that only grows, at its right edge: in memory are the hashes of the tiles that are not full yet, at most 255 on
 * each level. A tile that fills up is handed out and its root goes to the level above.
 */
import { invariant } from "@millrace/engine";
import { HASH_BYTES, rootOf } from "./merkle.ts";
import { partialTiles, TILE_WIDTH, type Tile } from "./tile.ts";

/** A tile and its hashes, one after the other. */
export interface TileBytes {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

export class GrowingTree {
  #size = 0;
  /** Hashes of the unfinished tile of each level. */
  readonly #edge: Uint8Array[][] = [[]];
  #full: TileBytes[] = [];

  /** The tree of `size` leaves whose partial tiles are these, of {@link partialTiles}. */
  static restored(size: number, partial: readonly TileBytes[]): GrowingTree {
    const tree = new GrowingTree();
    tree.#size = size;
    for (const { tile, bytes } of partial) {
      while (tree.#edge.length <= tile.level) tree.#edge.push([]);
      tree.#edge[tile.level] = hashesOf(bytes);
    }
    return tree;
  }

  /** Leaves. */
  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    this.#size++;
    this.#push(0, leaf);
  }

  root(): Uint8Array {
    let below: Uint8Array | undefined;
    for (const hashes of this.#edge) {
      const level: readonly Uint8Array[] = below === undefined ? hashes : [...hashes, below];
      below = level.length === 0 ? undefined : rootOf(level);
    }
    return below ?? rootOf([]);
  }

  /** Tiles that {@link takeFull} would give. */
  get fullCount(): number {
    return this.#full.length;
  }

  /** Tiles that became full since the last call, in the order in which they did. */
  takeFull(): TileBytes[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The tiles of the right edge as they are now. */
  partial(): TileBytes[] {
    return partialTiles(this.#size).map((tile) => {
      const hashes = this.#edge[tile.level];
      invariant(hashes?.length === tile.width, "the edge of a tree has what its size says");
      return { tile, bytes: Buffer.concat(hashes) };
    });
  }

  #push(level: number, hash: Uint8Array): void {
    const hashes = this.#edge[level] ?? [];
    this.#edge[level] = hashes;
    hashes.push(hash);
    if (hashes.length < TILE_WIDTH) return;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1)) - 1;
    this.#full.push({ tile: { level, index, width: TILE_WIDTH }, bytes: Buffer.concat(hashes) });
    this.#edge[level] = [];
    this.#push(level + 1, rootOf(hashes));
  }
}

/** Splits the bytes of a tile. */
export function hashesOf(bytes: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) hashes.push(bytes.subarray(at, at + HASH_BYTES));
  return hashes;
}
