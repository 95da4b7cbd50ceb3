/**
 * `(pos, ord)` of each message of a frame (step-protocol R4), in the cheapest form that holds them: a dense run needs no
 * array, a filtered run only the indices that a selection has anyway.
 */
import { comparePoints, type Point } from "./point.ts";

export class Positions {
  readonly n: number;
  readonly #base: number;
  /** Offset of each physical index; `null` when it is `base + index`. */
  readonly #offsets: Float64Array | null;
  /** Physical index of message `i`; `null` when it is `i`. */
  readonly #at: Uint32Array | null;
  /** Ordinal of message `i`; `null` when all are 0. */
  readonly #ords: Uint32Array | null;

  private constructor(
    n: number,
    base: number,
    offsets: Float64Array | null,
    at: Uint32Array | null,
    ords: Uint32Array | null,
  ) {
    this.n = n;
    this.#base = base;
    this.#offsets = offsets;
    this.#at = at;
    this.#ords = ords;
  }

  /** `first, first + 1, …`, ordinals 0. */
  static dense(first: number, n: number): Positions {
    return new Positions(n, first, null, null, null);
  }

  /** One `pos` each, ascending; ordinals 0 unless given. */
  static of(offsets: Float64Array, ords: Uint32Array | null = null): Positions {
    return new Positions(offsets.length, 0, offsets, null, ords);
  }

  static readonly NONE: Positions = Positions.dense(0, 0);

  pos(i: number): number {
    const at = this.#at === null ? i : (this.#at[i] as number);
    return this.#offsets === null ? this.#base + at : (this.#offsets[at] as number);
  }

  ord(i: number): number {
    return this.#ords === null ? 0 : (this.#ords[i] as number);
  }

  point(i: number): Point {
    return { pos: this.pos(i), ord: this.ord(i) };
  }

  /** True when every `ord` is 0 by construction, so that `pos` alone identifies a message. */
  get oneToOne(): boolean {
    return this.#ords === null;
  }

  select(indices: Uint32Array): Positions {
    const n = indices.length;
    const ords = this.#ords === null ? null : pick(this.#ords, indices);
    const at = this.#at === null ? indices : pick(this.#at, indices);
    return new Positions(n, this.#base, this.#offsets, at, ords);
  }

  slice(start: number, end: number): Positions {
    if (start === 0 && end === this.n) return this;
    if (this.#offsets === null && this.#at === null && this.#ords === null)
      return Positions.dense(this.#base + start, end - start);
    const indices = new Uint32Array(end - start);
    for (let i = start; i < end; i++) indices[i - start] = i;
    return this.select(indices);
  }

  /** How many messages are at or below `cursor`; messages are in `(pos, ord)` order. */
  countThrough(cursor: Point): number {
    let low = 0;
    let high = this.n;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (comparePoints(this.point(mid), cursor) <= 0) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

function pick(from: Uint32Array, indices: Uint32Array): Uint32Array {
  const out = new Uint32Array(indices.length);
  for (let i = 0; i < indices.length; i++) out[i] = from[indices[i] as number] as number;
  return out;
}
