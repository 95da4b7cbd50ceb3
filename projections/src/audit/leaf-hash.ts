/**
 * Leaves of the tree. The entry of a position is, for each of its control records in order and then for its event, the stored
 * header and the SHA-256 of the stored payload; the leaf is `SHA-256(0x00 ‖ entry)` as in RFC 6962. Whoever has the payloads'
 * hashes can check it: a payload may be pruned, and a key that encrypted it destroyed, and every proof stays valid.
 */
import type { StoredRecord } from "@millrace/engine";
import { sha256 } from "./merkle.ts";

const LEAF_PREFIX = 0;
const FIRST_CAPACITY = 1024;

/** Put records in, in the order of the log; each event completes a leaf. */
export class LeafHasher {
  #bytes: Buffer = Buffer.alloc(FIRST_CAPACITY, LEAF_PREFIX);
  #used = 1;

  /** The leaf of the record's position when the record is its event, `undefined` for a control record. */
  add({ header, payload, isControl }: StoredRecord): Buffer | undefined {
    this.#append(header);
    this.#append(sha256(payload));
    if (isControl) return undefined;
    const leaf = sha256(this.#bytes.subarray(0, this.#used));
    this.#used = 1;
    return leaf;
  }

  #append(part: Uint8Array): void {
    if (this.#used + part.length > this.#bytes.length) this.#grow();
    this.#bytes.set(part, this.#used);
    this.#used += part.length;
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
