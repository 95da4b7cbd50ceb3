/**
 * The 16 bytes of an event's id as four words: read once, then looked up among the last appends, written into the record and
 * remembered. One object serves all appends of a log.
 */
import { EVENT_ID, ID_BYTES, idWordOf } from "./record.ts";

const WORD_BYTES = 4;
const SEED = 0x9e3779b1;

export class EventId {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  /** Reads `id`, of {@link ID_BYTES} bytes. */
  read(id: Uint8Array): void {
    this.a = idWordOf(id, 0);
    this.b = idWordOf(id, WORD_BYTES);
    this.c = idWordOf(id, 2 * WORD_BYTES);
    this.d = idWordOf(id, 3 * WORD_BYTES);
  }

  /** Reads the id of the event whose record is at `recordAt`. */
  readAt(bytes: Uint8Array, recordAt: number): void {
    this.read(bytes.subarray(recordAt + EVENT_ID, recordAt + EVENT_ID + ID_BYTES));
  }

  /** For a hash table of a power of two. */
  hash(): number {
    let hash = Math.imul(this.a ^ Math.imul(this.b, SEED), SEED) ^ Math.imul(this.c, SEED + 2);
    hash = Math.imul(hash ^ (hash >>> 15) ^ this.d, SEED);
    return hash ^ (hash >>> 13);
  }
}
