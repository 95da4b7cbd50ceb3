/**
 * The ids of the last appends, so that a retry that expects any revision is recognised. A ring of fixed size with a chained
 * hash table over it, in typed arrays: no garbage per append, and one cache line for each.
 */
const SEED = 0x9e3779b1;
const HIGH = 2 ** 32;
/** Words of a slot: the id, the position's halves, the next slot of the chain, the bucket. */
const SLOT_WORDS = 8;
const POSITION_LOW = 4;
const POSITION_HIGH = 5;
const NEXT = 6;
const BUCKET = 7;
const NONE = 0xffff_ffff;

export class RecentAppends {
  readonly #mask: number;
  readonly #slots: Uint32Array;
  readonly #bucket: Uint32Array;
  #count = 0;

  /** @param capacity appends remembered; a power of two */
  constructor(capacity: number) {
    this.#mask = capacity - 1;
    this.#slots = new Uint32Array(capacity * SLOT_WORDS);
    this.#bucket = new Uint32Array(capacity).fill(NONE);
  }

  get capacity(): number {
    return this.#mask + 1;
  }

  /** Remembers an append by the id of its first event. */
  add(id: Uint8Array, firstPosition: number): void {
    const slots = this.#slots;
    const slot = this.#count & this.#mask;
    if (this.#count > this.#mask) this.#unlink(slot);
    const at = slot * SLOT_WORDS;
    const a = wordOf(id, 0);
    const b = wordOf(id, 4);
    const c = wordOf(id, 8);
    const d = wordOf(id, 12);
    const bucket = mix(a, b, c, d) & this.#mask;
    slots[at] = a;
    slots[at + 1] = b;
    slots[at + 2] = c;
    slots[at + 3] = d;
    slots[at + POSITION_LOW] = firstPosition;
    slots[at + POSITION_HIGH] = firstPosition / HIGH;
    slots[at + NEXT] = this.#bucket[bucket] as number;
    slots[at + BUCKET] = bucket;
    this.#bucket[bucket] = slot;
    this.#count++;
  }

  /** Position of the append's first event, -1 when it is not among the last ones. */
  find(id: Uint8Array): number {
    const slots = this.#slots;
    const a = wordOf(id, 0);
    const b = wordOf(id, 4);
    const c = wordOf(id, 8);
    const d = wordOf(id, 12);
    let slot = this.#bucket[mix(a, b, c, d) & this.#mask] as number;
    while (slot !== NONE) {
      const at = slot * SLOT_WORDS;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) {
        return (slots[at + POSITION_HIGH] as number) * HIGH + (slots[at + POSITION_LOW] as number);
      }
      slot = slots[at + NEXT] as number;
    }
    return -1;
  }

  #unlink(slot: number): void {
    const slots = this.#slots;
    const bucket = slots[slot * SLOT_WORDS + BUCKET] as number;
    const next = slots[slot * SLOT_WORDS + NEXT] as number;
    let before = this.#bucket[bucket] as number;
    if (before === slot) {
      this.#bucket[bucket] = next;
      return;
    }
    while (slots[before * SLOT_WORDS + NEXT] !== slot) before = slots[before * SLOT_WORDS + NEXT] as number;
    slots[before * SLOT_WORDS + NEXT] = next;
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
