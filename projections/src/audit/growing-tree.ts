/**
 * A Merkle tree that only grows, at its right edge: in memory are the hashes of the tiles that are not full yet, at most 255 on
 * each level. A tile that fills up is handed out and its root goes to the level above.
 */
import { invariant } from "@millrace/engine";
import { HASH_BYTES, NODE_PREFIX, rootOf } from "./merkle.ts";
import { type BatchSha256, batchSha256, Messages } from "./message-hashes.ts";
import { partialTiles, TILE_WIDTH, type Tile } from "./tile.ts";

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

/** A tile and its hashes, one after the other. */
export interface TileBytes {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

/** A tile that is not full. */
interface Growing {
  bytes: Buffer;
  width: number;
}

export class GrowingTree {
  readonly #sha256: BatchSha256;
  readonly #nodes: Messages = new Messages();
  #size = 0;
  /** By level. */
  readonly #edge: Growing[] = [];
  #full: TileBytes[] = [];

  constructor(sha256: BatchSha256 = batchSha256) {
    this.#sha256 = sha256;
  }

  /** The tree of `size` leaves whose partial tiles are these, of {@link partialTiles}. */
  static restored(size: number, partial: readonly TileBytes[], sha256: BatchSha256 = batchSha256): GrowingTree {
    const tree = new GrowingTree(sha256);
    tree.#size = size;
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

  append(leaf: Uint8Array): void {
    this.#size++;
    this.#push(0, leaf);
  }

  root(): Uint8Array {
    let below: Uint8Array | undefined;
    for (const growing of this.#edge) {
      const hashes = hashesOf(usedOf(growing));
      if (below !== undefined) hashes.push(below);
      below = hashes.length === 0 ? undefined : rootOf(hashes);
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
      const growing = this.#at(tile.level);
      invariant(growing.width === tile.width, "the edge of a tree has what its size says");
      return { tile, bytes: Buffer.from(usedOf(growing)) };
    });
  }

  #push(level: number, hash: Uint8Array): void {
    const growing = this.#at(level);
    growing.bytes.set(hash, growing.width * HASH_BYTES);
    growing.width++;
    if (growing.width < TILE_WIDTH) return;
    const { bytes } = growing;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1)) - 1;
    this.#full.push({ tile: { level, index, width: TILE_WIDTH }, bytes });
    growing.bytes = Buffer.alloc(TILE_BYTES);
    growing.width = 0;
    this.#push(level + 1, this.#rootOf(bytes));
  }

  /** {@link rootOf} for the hashes of a full tile, level by level. */
  #rootOf(tile: Buffer): Buffer {
    let level = tile;
    while (level.length > HASH_BYTES) {
      for (let at = 0; at < level.length; at += 2 * HASH_BYTES) {
        this.#nodes.writeByte(NODE_PREFIX);
        this.#nodes.write(level.subarray(at, at + 2 * HASH_BYTES));
        this.#nodes.end();
      }
      level = this.#nodes.hashes(this.#sha256);
    }
    return level;
  }

  #at(level: number): Growing {
    while (this.#edge.length <= level) this.#edge.push({ bytes: Buffer.alloc(TILE_BYTES), width: 0 });
    return this.#edge[level] as Growing;
  }
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

/** Splits the bytes of a tile. */
export function hashesOf(bytes: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) hashes.push(bytes.subarray(at, at + HASH_BYTES));
  return hashes;
}
