/**
 * Leaves of the tree. The entry of a position is, for each of its control records in order and then for its event, the stored
 * header and the SHA-256 of the stored payload; the leaf is `SHA-256(0x00 ‖ entry)` as in RFC 6962. Whoever has the payloads'
 * hashes can check it: a payload may be pruned, and a key that encrypted it destroyed, and every proof stays valid.
 */
import { invariant, type StoredRecord } from "@millrace/engine";
import { HASH_BYTES, sha256 } from "./merkle.ts";
import { type BatchSha256, Messages } from "./message-hashes.ts";

const LEAF_PREFIX = 0;

export interface Leaves {
  /** Position of the first. */
  readonly first: number;
  /** Hashes of dense positions, one after the other. */
  readonly bytes: Buffer;
}

/** Hashes records, in the order of the log. */
export class LeafHasher {
  readonly #sha256: BatchSha256;
  readonly #payloads: Messages = new Messages();
  readonly #entries: Messages = new Messages();

  constructor(sha256: BatchSha256) {
    this.#sha256 = sha256;
  }

  /** @param records of whole positions, at least one: the last is an event */
  leaves(records: readonly StoredRecord[]): Leaves {
    const first = records[0]?.position;
    invariant(first !== undefined && records.at(-1)?.isControl === false, "leaves are made of whole positions");
    for (const { payload } of records) {
      this.#payloads.write(payload);
      this.#payloads.end();
    }
    const hashes = this.#payloads.hashes(this.#sha256);
    let isStart = true;
    for (let i = 0; i < records.length; i++) {
      const { header, isControl } = records[i] as StoredRecord;
      if (isStart) this.#entries.writeByte(LEAF_PREFIX);
      this.#entries.write(header);
      this.#entries.write(hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
      if (!isControl) this.#entries.end();
      isStart = !isControl;
    }
    return { first, bytes: this.#entries.hashes(this.#sha256) };
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
