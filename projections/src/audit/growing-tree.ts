/**
 * A Merkle tree that only grows, at its right edge: in memory are the hashes of the tiles that are not full yet, at most 255 on
 * each level. Tiles that fill up are handed out and their roots go to the level above.
 */
import { invariant } from "@millrace/engine";
import { HASH_BYTES, hashesOf, rootOf } from "./merkle.ts";
import { partialTiles, TILE_WIDTH, type Tile } from "./tile.ts";
import { inlineTreeHasher, type TreeHasher } from "./tree-hasher.ts";

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

/** A tile and its hashes, one after the other. */
export interface TileBytes {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

/** Full tiles of a level, one after the other. */
export interface TileRun {
  readonly level: number;
  /** Of the first. */
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** A tile that is not full. */
interface Growing {
  readonly bytes: Buffer;
  width: number;
  /** Full tiles of its level. */
  index: number;
}

/** Its appends must not overlap, with each other or with anything else that is asked of it. */
export class GrowingTree {
  readonly #hasher: TreeHasher;
  #size = 0;
  /** By level. */
  readonly #edge: Growing[] = [];
  #full: TileRun[] = [];

  constructor(hasher: TreeHasher = inlineTreeHasher()) {
    this.#hasher = hasher;
  }

  /** The tree of `size` leaves whose partial tiles are these, of {@link partialTiles}. */
  static restored(size: number, partial: readonly TileBytes[], hasher?: TreeHasher): GrowingTree {
    const tree = new GrowingTree(hasher);
    tree.#size = size;
    for (let level = 0, full = size; full > 0; level++) {
      full = Math.floor(full / TILE_WIDTH);
      tree.#at(level).index = full;
    }
    for (const { tile, bytes } of partial) {
      const growing = tree.#at(tile.level);
      growing.bytes.set(bytes);
      growing.width = tile.width;
    }
    return tree;
  }

  /** Leaves. */
  get size(): number {
    return this.#size;
  }

  /**
   * @param leaves 32 bytes each
   * @param size of which `seen` is to see the tree, if it comes by it
   */
  async append(leaves: Uint8Array, size?: number, seen?: (tree: GrowingTree) => void): Promise<void> {
    const before = size === undefined ? 0 : (size - this.#size) * HASH_BYTES;
    const isPassed = before > 0 && before <= leaves.length;
    if (isPassed) {
      await this.#push(leaves.subarray(0, before));
      seen?.(this);
    }
    await this.#push(isPassed ? leaves.subarray(before) : leaves);
  }

  root(): Uint8Array {
    let below: Uint8Array | undefined;
    for (const growing of this.#edge) {
      const hashes = hashesOf(usedOf(growing));
      if (below !== undefined) hashes.push(below);
      below = hashes.length === 0 ? undefined : rootOf(hashes);
    }
    // A copy: the root of one leaf is that leaf, where it lies in a tile that is filled again.
    return Buffer.from(below ?? rootOf([]));
  }

  /** Tiles that {@link takeFull} would give. */
  get fullCount(): number {
    return this.#full.reduce((sum, { bytes }) => sum + bytes.length / TILE_BYTES, 0);
  }

  /** Tiles that became full since the last call, those of lower levels before those above them. */
  takeFull(): TileRun[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The tiles of the right edge as they are now. */
  partial(): TileBytes[] {
    return partialTiles(this.#size).map((tile) => {
      const growing = this.#at(tile.level);
      invariant(growing.width === tile.width, "the edge of a tree has what its size says");
      return { tile, bytes: Buffer.from(usedOf(growing)) };
    });
  }

  async #push(leaves: Uint8Array): Promise<void> {
    this.#size += leaves.length / HASH_BYTES;
    let hashes = leaves;
    for (let level = 0; hashes.length > 0; level++) {
      const full = this.#fill(level, hashes);
      hashes = full.length === 0 ? full : await this.#hasher.tileRoots(full);
    }
  }

  /** The tiles of the level that `hashes` fill, in one piece. */
  #fill(level: number, hashes: Uint8Array): Uint8Array {
    const growing = this.#at(level);
    const before = growing.width * HASH_BYTES;
    const tiles = Math.floor((before + hashes.length) / TILE_BYTES);
    const full = Buffer.allocUnsafeSlow(tiles * TILE_BYTES);
    if (tiles > 0) {
      full.set(usedOf(growing));
      full.set(hashes.subarray(0, full.length - before), before);
      this.#full.push({ level, index: growing.index, bytes: full });
      growing.index += tiles;
      growing.width = 0;
    }
    const rest = tiles > 0 ? hashes.subarray(full.length - before) : hashes;
    growing.bytes.set(rest, growing.width * HASH_BYTES);
    growing.width += rest.length / HASH_BYTES;
    return full;
  }

  #at(level: number): Growing {
    while (this.#edge.length <= level) this.#edge.push({ bytes: Buffer.alloc(TILE_BYTES), width: 0, index: 0 });
    return this.#edge[level] as Growing;
  }
}

/** The tiles of runs. */
export function tilesOf(runs: readonly TileRun[]): TileBytes[] {
  return runs.flatMap(({ level, index, bytes }) =>
    Array.from({ length: bytes.length / TILE_BYTES }, (_, i) => ({
      tile: { level, index: index + i, width: TILE_WIDTH },
      bytes: bytes.subarray(i * TILE_BYTES, (i + 1) * TILE_BYTES),
    })),
  );
}

function usedOf({ bytes, width }: Growing): Buffer {
  return bytes.subarray(0, width * HASH_BYTES);
}

/** Number of the first hash that differs, -1 when none does. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return Math.floor((at < 0 ? a.length : at) / HASH_BYTES);
}
