/**
 * The 16 bytes of an event's id as four words: read once, then looked up among the last appends, written into the record and
 * remembered. One object serves all appends of a log.
 */
import { wordOf } from "./little-endian.ts";

const WORD_BYTES = 4;
const SEED = 0x9e3779b1;

export class EventId {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  /** Reads the 16 bytes at `at`. */
  read(bytes: Uint8Array, at = 0): void {
    this.a = wordOf(bytes, at);
    this.b = wordOf(bytes, at + WORD_BYTES);
    this.c = wordOf(bytes, at + 2 * WORD_BYTES);
    this.d = wordOf(bytes, at + 3 * WORD_BYTES);
  }

  /** For a hash table of a power of two. */
  hash(): number {
    let hash = Math.imul(this.a ^ Math.imul(this.b, SEED), SEED) ^ Math.imul(this.c, SEED + 2);
    hash = Math.imul(hash ^ (hash >>> 15) ^ this.d, SEED);
    return hash ^ (hash >>> 13);
  }
}
