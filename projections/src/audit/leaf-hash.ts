/**
 * Leaves of the tree. The entry of a position is, for each of its control records in order and then for its event, the stored
 * header and the SHA-256 of the stored payload; the leaf is `SHA-256(0x00 ‖ entry)` as in RFC 6962. Whoever has the payloads'
 * hashes can check it: a payload may be pruned, and a key that encrypted it destroyed, and every proof stays valid.
 */
import type { StoredRecord } from "@millrace/engine";
import { sha256 } from "./merkle.ts";

export const LEAF_PREFIX = 0;

/** What the leaf of a position is the hash of. `records` are those of one position. */
export function entryOf(records: readonly StoredRecord[]): Buffer {
  return Buffer.concat(records.flatMap(({ header, payload }) => [header, sha256(payload)]));
}

/** @param entry as {@link entryOf} makes it */
export function leafOfEntry(entry: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.of(LEAF_PREFIX), entry]));
}
