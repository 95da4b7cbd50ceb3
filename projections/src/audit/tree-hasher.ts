/**
 * What the tree hashes, many hashes a call, so that an addon can do it at the processor's speed and in another thread. The one
 * here is TypeScript by Node's own SHA-256, in the thread of its caller.
 */
import { invariant, STORED_PLACE_WORDS, type StoredRecords } from "@millrace/engine";
import { LEAF_PREFIX } from "./leaf-hash.ts";
import { HASH_BYTES, hashesOf, putSha256, rootOf } from "./merkle.ts";
import { TILE_WIDTH } from "./tile.ts";

export interface TreeHasher {
  /** Leaves of the positions of `records`, 32 bytes each. Bytes and places must stay as they are until they are done. */
  leaves(records: Pick<StoredRecords, "bytes" | "places">): Promise<Uint8Array>;
  /** The root over each full tile of `tiles`, 32 bytes each: tiles lie one after the other, 8192 bytes each. */
  tileRoots(tiles: Uint8Array): Promise<Uint8Array>;
}

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
/** Records hashed before others may have a turn. */
const RUN_RECORDS = 64;
const ENTRY_BYTES = 4096;

/** @param pause called between runs of records, for whoever shares the thread */
export function inlineTreeHasher(pause: () => Promise<void> | undefined = () => undefined): TreeHasher {
  const entry = new Entry();
  return {
    leaves: async ({ bytes, places }) => {
      const leaves: Buffer[] = [];
      for (let at = 0; at < places.length; at += STORED_PLACE_WORDS) {
        const payloadAt = places[at + 1] as number;
        entry.add(bytes.subarray(places[at], payloadAt), bytes.subarray(payloadAt, places[at + 2]));
        if (places[at + 3] === 0) leaves.push(entry.leaf());
        if (at % (RUN_RECORDS * STORED_PLACE_WORDS) === 0) await pause();
      }
      invariant(entry.isEmpty, "leaves are made of whole positions");
      return Buffer.concat(leaves);
    },
    tileRoots: async (tiles) => {
      const roots: Uint8Array[] = [];
      for (let at = 0; at < tiles.length; at += TILE_BYTES)
        roots.push(rootOf(hashesOf(tiles.subarray(at, at + TILE_BYTES))));
      return Buffer.concat(roots);
    },
  };
}

/** The entry of a position behind the prefix of a leaf, in a buffer that is used again. */
class Entry {
  #bytes: Buffer = Buffer.alloc(ENTRY_BYTES, LEAF_PREFIX);
  #used = 1;

  get isEmpty(): boolean {
    return this.#used === 1;
  }

  add(header: Uint8Array, payload: Uint8Array): void {
    const end = this.#used + header.length + HASH_BYTES;
    if (end > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * end);
    this.#bytes.set(header, this.#used);
    putSha256(payload, this.#bytes, end - HASH_BYTES);
    this.#used = end;
  }

  /** The leaf of what was added; then it is empty. */
  leaf(): Buffer {
    const leaf = Buffer.allocUnsafe(HASH_BYTES);
    putSha256(this.#bytes.subarray(0, this.#used), leaf, 0);
    this.#used = 1;
    return leaf;
  }
}
