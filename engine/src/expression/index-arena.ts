/**
 * Index arrays cut from larger ones: a selection per frame as an allocation of its own costs as much as computing it. A block
 * lives as long as the last selection cut from it, a few frames.
 */
import type { Cells, Comparison } from "./comparisons.ts";
import type { Mask } from "./mask.ts";
import { ofMask, scriptSelection } from "./script-selection.ts";
import type { PreparedCondition, SelectionKernel } from "./selection-kernel.ts";

const BLOCK = 65_536;
/** Calling a kernel of another language costs more than it saves for fewer messages. */
const KERNEL_MESSAGES_MIN = 512;

export class IndexArena {
  readonly #kernel: SelectionKernel;
  #block: Uint32Array = new Uint32Array(0);
  #used = 0;

  /** @param kernel what picks the indices of large frames; by default TypeScript */
  constructor(kernel: SelectionKernel = scriptSelection) {
    this.#kernel = kernel;
  }

  /** Indices below `n` where the mask is 1, or `null` if it is unsure at one of them. */
  ofMask({ bytes }: Mask, n: number): Uint32Array | null {
    const block = this.#room(n);
    return this.#cut(ofMask(bytes, n, block, this.#used));
  }

  /** The same for codes of a dictionary of which `entries` says what a mask says of messages. */
  ofEntries(entries: Uint8Array, codes: Uint32Array | Uint16Array, n: number): Uint32Array | null {
    const block = this.#room(n);
    return this.#cut(this.#kernelFor(n).ofEntries(entries, codes, n, block, this.#used));
  }

  /** Indices below `n` of the cells for which the comparison holds. */
  comparing(op: Comparison, cells: Cells, limit: number, n: number): Uint32Array | null {
    const block = this.#room(n);
    return this.#cut(this.#kernelFor(n).comparing(op, cells, limit, n, block, this.#used));
  }

  /** Whether {@link condition} has an answer for so many messages. */
  picksConditions(n: number): boolean {
    return this.#kernelFor(n).condition !== undefined;
  }

  /** Indices below `n` for which the condition holds, or `null` if it is unsure of one of them. */
  condition(condition: PreparedCondition, n: number): Uint32Array | null {
    const block = this.#room(n);
    return this.#cut(this.#kernelFor(n).condition?.(condition, n, block, this.#used) ?? -1);
  }

  /** Indices below `n` for which `test` holds, asked in order. */
  where(n: number, test: (i: number) => boolean): Uint32Array {
    const block = this.#room(n);
    let at = this.#used;
    for (let i = 0; i < n; i++) if (test(i)) block[at++] = i;
    return this.#cut(at) as Uint32Array;
  }

  #kernelFor(n: number): SelectionKernel {
    return n < KERNEL_MESSAGES_MIN ? scriptSelection : this.#kernel;
  }

  /** One more than asked: an index is written before it is known whether it counts. */
  #room(n: number): Uint32Array {
    if (this.#block.length - this.#used <= n) {
      this.#block = new Uint32Array(Math.max(BLOCK, n + 1));
      this.#used = 0;
    }
    return this.#block;
  }

  /** `null` below 0: something was unsure. */
  #cut(end: number): Uint32Array | null {
    if (end < 0) return null;
    const indices = this.#block.subarray(this.#used, end);
    this.#used = end;
    return indices;
  }
}
