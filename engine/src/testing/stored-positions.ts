/** Stored records for tests of what reads them byte by byte. */
import type { StoredRecord, StoredRecords } from "../log/stored-log.ts";

export type StoredParts = Pick<StoredRecord, "header" | "payload">;

/** Records one after the other with a gap of three bytes between them; of each position, the last is its event. */
export function storedPositions(first: number, positions: readonly (readonly StoredParts[])[]): StoredRecords {
  const places: number[] = [];
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const records of positions) {
    for (const [i, { header, payload }] of records.entries()) {
      const payloadAt = at + header.length;
      const end = payloadAt + payload.length;
      places.push(at, payloadAt, end, i < records.length - 1 ? 1 : 0);
      parts.push(header, payload, GAP);
      at = end + GAP.length;
    }
  }
  return { first, bytes: Buffer.concat(parts), places: Uint32Array.from(places) };
}

const GAP = Buffer.alloc(3, 0xa5);
