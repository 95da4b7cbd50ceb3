/**
 * The ids of the last appends, so that a retry that expects any revision is recognised. A ring of fixed size with a chained
 * hash table over it, in typed arrays: no garbage per append.
 */
const SEED = 0x9e3779b1;

export class RecentAppends {
  readonly #mask: number;
  readonly #ids: Uint32Array;
  readonly #position: Float64Array;
  readonly #bucket: Int32Array;
  readonly #next: Int32Array;
  #count = 0;

  /** @param capacity appends remembered; a power of two */
  constructor(capacity: number) {
    this.#mask = capacity - 1;
    this.#ids = new Uint32Array(capacity * 4);
    this.#position = new Float64Array(capacity);
    this.#bucket = new Int32Array(capacity).fill(-1);
    this.#next = new Int32Array(capacity).fill(-1);
  }

  get capacity(): number {
    return this.#mask + 1;
  }

  /** Remembers an append by the id of its first event. */
  add(id: Uint8Array, firstPosition: number): void {
    const slot = this.#count & this.#mask;
    if (this.#count > this.#mask) this.#unlink(slot);
    for (let word = 0; word < 4; word++) this.#ids[slot * 4 + word] = wordOf(id, word);
    this.#position[slot] = firstPosition;
    const bucket = this.#bucketOf(slot);
    this.#next[slot] = this.#bucket[bucket] as number;
    this.#bucket[bucket] = slot;
    this.#count++;
  }

  /** Position of the append's first event, -1 when it is not among the last ones. */
  find(id: Uint8Array): number {
    const a = wordOf(id, 0);
    const b = wordOf(id, 1);
    const c = wordOf(id, 2);
    const d = wordOf(id, 3);
    let slot = this.#bucket[mix(a, b, c, d) & this.#mask] as number;
    for (; slot >= 0; slot = this.#next[slot] as number) {
      const at = slot * 4;
      if (this.#ids[at] === a && this.#ids[at + 1] === b && this.#ids[at + 2] === c && this.#ids[at + 3] === d) {
        return this.#position[slot] as number;
      }
    }
    return -1;
  }

  #bucketOf(slot: number): number {
    const at = slot * 4;
    const word = (i: number): number => this.#ids[at + i] as number;
    return mix(word(0), word(1), word(2), word(3)) & this.#mask;
  }

  #unlink(slot: number): void {
    const bucket = this.#bucketOf(slot);
    if (this.#bucket[bucket] === slot) {
      this.#bucket[bucket] = this.#next[slot] as number;
      return;
    }
    let before = this.#bucket[bucket] as number;
    while (this.#next[before] !== slot) before = this.#next[before] as number;
    this.#next[before] = this.#next[slot] as number;
  }
}

function wordOf(id: Uint8Array, word: number): number {
  const at = word * 4;
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
