/**
 * Leaves of the tree. The entry of a position is, for each of its control records in order and then for its event, the stored
 * header and the SHA-256 of the stored payload; the leaf is `SHA-256(0x00 ‖ entry)` as in RFC 6962. Whoever has the payloads'
 * hashes can check it: a payload may be pruned, and a key that encrypted it destroyed, and every proof stays valid.
 */
import type { StoredRecord } from "@millrace/engine";
import { HASH_BYTES, putSha256, sha256 } from "./merkle.ts";

const LEAF_PREFIX = 0;
const FIRST_CAPACITY = 1024;

/** Put records in, in the order of the log; each event completes a leaf. */
export class LeafHasher {
  #bytes: Buffer = Buffer.alloc(FIRST_CAPACITY, LEAF_PREFIX);
  #used = 1;
  readonly #leaf: Buffer = Buffer.alloc(HASH_BYTES);

  /** The leaf of the record's position when the record is its event, `undefined` for a control record. Valid until the next call. */
  add({ header, payload, isControl }: StoredRecord): Buffer | undefined {
    if (this.#used + header.length + HASH_BYTES > this.#bytes.length) this.#grow();
    this.#bytes.set(header, this.#used);
    putSha256(payload, this.#bytes, this.#used + header.length);
    this.#used += header.length + HASH_BYTES;
    if (isControl) return undefined;
    putSha256(this.#bytes.subarray(0, this.#used), this.#leaf, 0);
    this.#used = 1;
    return this.#leaf;
  }

  #grow(): void {
    const bytes = Buffer.alloc(this.#bytes.length * 2, LEAF_PREFIX);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}

/** What the leaf of a position is the hash of. `records` are those of one position. */
export function entryOf(records: readonly StoredRecord[]): Buffer {
  return Buffer.concat(records.flatMap(({ header, payload }) => [header, sha256(payload)]));
}

/** @param entry as {@link entryOf} makes it */
export function leafOfEntry(entry: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.of(LEAF_PREFIX), entry]));
}
