/**
 * The selection kernel in TypeScript. Without a branch on the data, because which messages pass is what a processor cannot predict,
 * and four a turn, as the loops of comparisons.
 */
import { indicesWhere } from "./comparisons.ts";
import { UNSURE } from "./lift.ts";
import type { SelectionKernel } from "./selection-kernel.ts";

export const scriptSelection: SelectionKernel = {
  comparing: (op, cells, limit, n, into, at) => indicesWhere(op, cells, limit, into, at, n),
  ofEntries,
};

function ofEntries(
  entries: Uint8Array,
  codes: Uint32Array | Uint16Array,
  n: number,
  into: Uint32Array,
  at: number,
): number {
  const turns = n & ~3;
  let end = at;
  let seen = 0;
  for (let i = 0; i < turns; i += 4) {
    const a = entries[codes[i] as number] as number;
    const b = entries[codes[i + 1] as number] as number;
    const c = entries[codes[i + 2] as number] as number;
    const d = entries[codes[i + 3] as number] as number;
    into[end] = i;
    end += a & 1;
    into[end] = i + 1;
    end += b & 1;
    into[end] = i + 2;
    end += c & 1;
    into[end] = i + 3;
    end += d & 1;
    seen |= a | b | c | d;
  }
  for (let i = turns; i < n; i++) {
    const pass = entries[codes[i] as number] as number;
    into[end] = i;
    end += pass & 1;
    seen |= pass;
  }
  return (seen & UNSURE) === 0 ? end : -1;
}

/** The same where a mask is 1; no kernel of another language has been found to do it noticeably faster. */
export function ofMask(mask: Uint8Array, n: number, into: Uint32Array, at: number): number {
  const turns = n & ~3;
  let end = at;
  let seen = 0;
  for (let i = 0; i < turns; i += 4) {
    const a = mask[i] as number;
    const b = mask[i + 1] as number;
    const c = mask[i + 2] as number;
    const d = mask[i + 3] as number;
    into[end] = i;
    end += a & 1;
    into[end] = i + 1;
    end += b & 1;
    into[end] = i + 2;
    end += c & 1;
    into[end] = i + 3;
    end += d & 1;
    seen |= a | b | c | d;
  }
  for (let i = turns; i < n; i++) {
    const pass = mask[i] as number;
    into[end] = i;
    end += pass & 1;
    seen |= pass;
  }
  return (seen & UNSURE) === 0 ? end : -1;
}
