/**
 * The log's records byte by byte as they are stored: what proofs are made of. A proof over stored bytes stays valid when a key
 * that encrypted a payload is destroyed and when a payload is pruned, because it needs their hash only.
 *
 * Implementation: embedded (`streams`), in the process that writes the log and, read only, in any other.
 */

export interface StoredRecord {
  /** Of the event; a control record carries the position of the event that follows it and belongs to that event. */
  readonly position: number;
  readonly isControl: boolean;
  /** The fixed part of the record, checksum included. Valid until the next batch is asked for, as is `payload`. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

/** Records of whole positions in the order of the log: an event and its control records are never parted. */
export interface StoredRecords {
  /** Position of the first record. */
  readonly first: number;
  /** What holds the records, and more. Valid, and left as it is, until the next batch is asked for. */
  readonly bytes: Uint8Array;
  /**
   * Four numbers for each record: where in `bytes` its header begins, where its payload does, where that ends, and whether it is a
   * control record (1) or an event (0). So few objects are made for many records; {@link storedRecords} makes one for each. Valid, and
   * left as they are, as long as `bytes`.
   */
  readonly places: Uint32Array;
}

export interface StoredBatch extends StoredRecords {
  /** Position after the last event. */
  readonly end: number;
  /** The log's chain value after the block that holds the last event: what a witness keeps beside a position (L-R22). */
  readonly chain: number;
}

/** Numbers for each record in {@link StoredRecords.places}. */
export const STORED_PLACE_WORDS = 4;

export function storedRecords({ first, bytes, places }: StoredRecords): StoredRecord[] {
  const records: StoredRecord[] = [];
  let position = first;
  for (let at = 0; at < places.length; at += STORED_PLACE_WORDS) {
    const payloadAt = places[at + 1] as number;
    const isControl = places[at + 3] === 1;
    const header = bytes.subarray(places[at], payloadAt);
    records.push({ position, isControl, header, payload: bytes.subarray(payloadAt, places[at + 2]) });
    if (!isControl) position++;
  }
  return records;
}

/** What is left of pruned records. */
export interface PrunedLeaves {
  /** Position of the first. */
  readonly first: number;
  /** RFC 6962 leaf hashes of dense positions, 32 bytes each. */
  readonly bytes: Uint8Array;
}

export interface StoredLog {
  /** 32 hex digits; see `EventLog.id`. */
  readonly id: string;
  /** First position whose record is kept. */
  readonly base: number;
  /** Leaf hashes of the positions below {@link base}, in order. @throws LOG-ARCHIVE they are missing or damaged */
  prunedLeaves(): AsyncIterable<PrunedLeaves>;
  /**
   * Records of the positions `[from, to)`, control records included. `to` must not lie beyond the durable end.
   *
   * @throws LOG-CORRUPT with file and position, when a record is not what was written
   */
  readStored(from: number, to: number): AsyncIterable<StoredBatch>;
}

/** Seen from the process that writes the log. */
export interface LiveStoredLog extends StoredLog {
  /** Position after the last durable event. */
  readonly durableEnd: number;
  /** Catch-up, then live, from `from` on, in whole blocks. Ends when the signal aborts or the log is closed. */
  followStored(from: number, signal: AbortSignal): AsyncIterable<StoredBatch>;
}
