/**
 * Index arrays cut from larger ones: a selection per frame as an allocation of its own costs as much as computing it. A block
 * lives as long as the last selection cut from it, a few frames.
 */
import { UNSURE } from "./lift.ts";

const BLOCK = 65_536;

export class IndexArena {
  #block: Uint32Array = new Uint32Array(0);
  #used = 0;

  /**
   * Indices where the mask is 1, or `null` if it is unsure anywhere. Without a branch on the data, because which messages pass
   * is what a processor cannot predict.
   */
  ofMask(mask: Uint8Array): Uint32Array | null {
    const { block, start } = this.#room(mask.length);
    let at = start;
    let seen = 0;
    for (let i = 0; i < mask.length; i++) {
      const pass = mask[i] as number;
      block[at] = i;
      at += pass & 1;
      seen |= pass;
    }
    return (seen & UNSURE) === 0 ? this.#cut(at) : null;
  }

  /** Indices below `n` for which `test` holds, asked in order. */
  where(n: number, test: (i: number) => boolean): Uint32Array {
    const { block, start } = this.#room(n);
    let at = start;
    for (let i = 0; i < n; i++) if (test(i)) block[at++] = i;
    return this.#cut(at);
  }

  /** One more than asked: {@link ofMask} writes an index before it knows whether it counts. */
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
