/**
 * The ids of the last appends and the streams they began with, so that a retry that expects any revision is recognised. A ring of fixed size with a chained
 * hash table over it, in typed arrays: no garbage per append, and one cache line for each.
 *
 * Appends are numbered, and links name numbers. A chain runs from newer to older appends, so a link to a number that the ring no
 * longer holds ends it, and nothing has to be taken out of chains.
 */
import { EVENT_ID, streamAt } from "./record.ts";

const SEED = 0x9e3779b1;
const HIGH = 2 ** 32;
/** Words of a slot: the id, the position's halves, the number of the next append of the chain, the stream. */
const SLOT_WORDS = 8;
const POSITION_LOW = 4;
const POSITION_HIGH = 5;
const NEXT = 6;
const STREAM = 7;

export class RecentAppends {
  readonly #mask: number;
  readonly #slots: Uint32Array;
  /** Number of the newest append of each chain. */
  readonly #newest: Uint32Array;
  /** Number of the next append, modulo 2^32. Begins where no link of an empty table is in the ring. */
  #next: number;

  /** @param capacity appends remembered; a power of two */
  constructor(capacity: number) {
    this.#mask = capacity - 1;
    this.#slots = new Uint32Array(capacity * SLOT_WORDS);
    this.#newest = new Uint32Array(capacity);
    this.#next = capacity + 1;
  }

  get capacity(): number {
    return this.#mask + 1;
  }

  /** Remembers an append by its first event, the record at `recordAt` of `view`. */
  add(view: DataView, recordAt: number, firstPosition: number): void {
    const slots = this.#slots;
    const idAt = recordAt + EVENT_ID;
    const at = (this.#next & this.#mask) * SLOT_WORDS;
    const a = view.getUint32(idAt, true);
    const b = view.getUint32(idAt + 4, true);
    const c = view.getUint32(idAt + 8, true);
    const d = view.getUint32(idAt + 12, true);
    const chain = mix(a, b, c, d) & this.#mask;
    slots[at] = a;
    slots[at + 1] = b;
    slots[at + 2] = c;
    slots[at + 3] = d;
    slots[at + POSITION_LOW] = firstPosition;
    slots[at + POSITION_HIGH] = firstPosition / HIGH;
    slots[at + NEXT] = this.#newest[chain] as number;
    slots[at + STREAM] = streamAt(view, recordAt);
    this.#newest[chain] = this.#next;
    this.#next = (this.#next + 1) >>> 0;
  }

  /** Position of the append that began with this event of this stream, -1 when it is not among the last ones. */
  find(id: Uint8Array, stream: number): number {
    const slots = this.#slots;
    const a = wordOf(id, 0);
    const b = wordOf(id, 4);
    const c = wordOf(id, 8);
    const d = wordOf(id, 12);
    let number = this.#newest[mix(a, b, c, d) & this.#mask] as number;
    while ((this.#next - number) >>> 0 <= this.capacity) {
      const at = (number & this.#mask) * SLOT_WORDS;
      const isSame = slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d;
      if (isSame && slots[at + STREAM] === stream) {
        return (slots[at + POSITION_HIGH] as number) * HIGH + (slots[at + POSITION_LOW] as number);
      }
      number = slots[at + NEXT] as number;
    }
    return -1;
  }
}

function wordOf(id: Uint8Array, at: number): number {
  return (
    ((id[at] as number) |
      ((id[at + 1] as number) << 8) |
      ((id[at + 2] as number) << 16) |
      ((id[at + 3] as number) << 24)) >>>
    0
  );
}

function mix(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ Math.imul(b, SEED), SEED) ^ Math.imul(c, SEED + 2);
  hash = Math.imul(hash ^ (hash >>> 15) ^ d, SEED);
  return hash ^ (hash >>> 13);
}
