/**
 * The ids of the last appends and the streams they began with, so that a retry that expects any revision is recognised. A ring of fixed size with a chained
 * hash table over it, in typed arrays: no garbage per append, and one cache line for each.
 *
 * Appends are numbered, and links name numbers. A chain runs from newer to older appends, so a link to a number that the ring no
 * longer holds ends it, and nothing has to be taken out of chains.
 */
import type { EventId } from "./event-id.ts";

const HIGH = 2 ** 32;
/** Words of a slot: the id, the position's halves, the number of the next append of the chain, the stream. */
const SLOT_WORDS = 8;
const POSITION_LOW = 4;
const POSITION_HIGH = 5;
const NEXT = 6;
const STREAM = 7;
/** So that most new ids meet an empty chain and touch no slot. */
const CHAINS_PER_SLOT = 4;

export class RecentAppends {
  readonly capacity: number;
  readonly #slots: Int32Array;
  /** Number of the newest append of each chain. */
  readonly #newest: Int32Array;
  /** Number of the next append, modulo 2^32. Begins where no link of an empty table is in the ring. */
  #next: number;

  /** @param capacity appends remembered; a power of two */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#slots = new Int32Array(capacity * SLOT_WORDS);
    this.#newest = new Int32Array(capacity * CHAINS_PER_SLOT);
    this.#next = capacity + 1;
  }

  /** Remembers the append that began with this event of this stream. */
  add(id: EventId, stream: number, firstPosition: number): void {
    const slots = this.#slots;
    const next = this.#next;
    const at = (next & (this.capacity - 1)) * SLOT_WORDS;
    const chain = id.hash() & (this.#newest.length - 1);
    slots[at] = id.a;
    slots[at + 1] = id.b;
    slots[at + 2] = id.c;
    slots[at + 3] = id.d;
    slots[at + POSITION_LOW] = firstPosition;
    slots[at + POSITION_HIGH] = firstPosition < HIGH ? 0 : firstPosition / HIGH;
    slots[at + NEXT] = this.#newest[chain] as number;
    slots[at + STREAM] = stream;
    this.#newest[chain] = next;
    this.#next = (next + 1) | 0;
  }

  /** Position of the append that began with this event of this stream, -1 when it is not among the last ones. */
  find(id: EventId, stream: number): number {
    let number = this.#newest[id.hash() & (this.#newest.length - 1)] as number;
    while ((this.#next - number) >>> 0 <= this.capacity) {
      const at = (number & (this.capacity - 1)) * SLOT_WORDS;
      if (this.#isAt(at, id) && this.#slots[at + STREAM] === stream) return this.#positionAt(at);
      number = this.#slots[at + NEXT] as number;
    }
    return -1;
  }

  #isAt(at: number, { a, b, c, d }: EventId): boolean {
    const slots = this.#slots;
    return slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d;
  }

  #positionAt(at: number): number {
    const low = (this.#slots[at + POSITION_LOW] as number) >>> 0;
    return (this.#slots[at + POSITION_HIGH] as number) * HIGH + low;
  }
}
