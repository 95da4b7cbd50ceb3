/**
 * Index arrays cut from larger ones: a selection per frame as an allocation of its own costs as much as computing it. A block
 * lives as long as the last selection cut from it, a few frames.
 */
import { type Cells, type Comparison, indicesWhere } from "./comparisons.ts";
import { UNSURE } from "./lift.ts";
import type { Mask } from "./mask.ts";

const BLOCK = 65_536;

export class IndexArena {
  #block: Uint32Array = new Uint32Array(0);
  #used = 0;

  /**
   * Indices below `n` where the mask is 1, or `null` if it is unsure at one of them. Without a branch on the data, because which
   * messages pass is what a processor cannot predict, and four a turn, as {@link indicesWhere} is.
   */
  ofMask({ bytes }: Mask, n: number): Uint32Array | null {
    const { block, start } = this.#room(n);
    const turns = n & ~3;
    let at = start;
    let seen = 0;
    for (let i = 0; i < turns; i += 4) {
      const a = bytes[i] as number;
      const b = bytes[i + 1] as number;
      const c = bytes[i + 2] as number;
      const d = bytes[i + 3] as number;
      block[at] = i;
      at += a & 1;
      block[at] = i + 1;
      at += b & 1;
      block[at] = i + 2;
      at += c & 1;
      block[at] = i + 3;
      at += d & 1;
      seen |= a | b | c | d;
    }
    for (let i = turns; i < n; i++) {
      const pass = bytes[i] as number;
      block[at] = i;
      at += pass & 1;
      seen |= pass;
    }
    return (seen & UNSURE) === 0 ? this.#cut(at) : null;
  }

  /** The same for codes of a dictionary of which `entries` says what a mask says of messages. */
  ofEntries(entries: Uint8Array, codes: Uint32Array | Uint16Array, n: number): Uint32Array | null {
    const { block, start } = this.#room(n);
    const turns = n & ~3;
    let at = start;
    let seen = 0;
    for (let i = 0; i < turns; i += 4) {
      const a = entries[codes[i] as number] as number;
      const b = entries[codes[i + 1] as number] as number;
      const c = entries[codes[i + 2] as number] as number;
      const d = entries[codes[i + 3] as number] as number;
      block[at] = i;
      at += a & 1;
      block[at] = i + 1;
      at += b & 1;
      block[at] = i + 2;
      at += c & 1;
      block[at] = i + 3;
      at += d & 1;
      seen |= a | b | c | d;
    }
    for (let i = turns; i < n; i++) {
      const pass = entries[codes[i] as number] as number;
      block[at] = i;
      at += pass & 1;
      seen |= pass;
    }
    return (seen & UNSURE) === 0 ? this.#cut(at) : null;
  }

  /** Indices below `n` of the cells for which the comparison holds. */
  comparing(op: Comparison, cells: Cells, limit: number, n: number): Uint32Array {
    const { block, start } = this.#room(n);
    return this.#cut(indicesWhere(op, cells, limit, block, start, n));
  }

  /** Indices below `n` for which `test` holds, asked in order. */
  where(n: number, test: (i: number) => boolean): Uint32Array {
    const { block, start } = this.#room(n);
    let at = start;
    for (let i = 0; i < n; i++) if (test(i)) block[at++] = i;
    return this.#cut(at);
  }

  /** One more than asked: an index is written before it is known whether it counts. */
  #room(n: number): { block: Uint32Array; start: number } {
    if (this.#block.length - this.#used <= n) {
      this.#block = new Uint32Array(Math.max(BLOCK, n + 1));
      this.#used = 0;
    }
    return { block: this.#block, start: this.#used };
  }

  #cut(end: number): Uint32Array {
    const indices = this.#block.subarray(this.#used, end);
    this.#used = end;
    return indices;
  }
}
