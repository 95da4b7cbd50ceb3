/**
 * Comparing time cells with a string without making strings. From year 0 to 9999 ISO 8601 strings order as the times they
 * name, so any string, a complete date or not, splits the times in two places, and comparing strings is comparing numbers.
 */
import type { Cells, Comparison } from "./comparisons.ts";

const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** True for cells whose ISO string has four digits of year and says all that the cell does. */
export function isPlainTime(ms: number): boolean {
  return ms >= FIRST_MS && ms <= LAST_MS && Number.isInteger(ms);
}

/** Writes 1 or 0: whether `cell op text` holds for each of the first `n` cells, as far as they are {@link isPlainTime}. */
export type IsoComparison = (cells: Cells, out: Uint8Array, n: number) => void;

export function isoComparison(op: Comparison, text: string): IsoComparison {
  const from = firstTime((iso) => iso >= text);
  const after = firstTime((iso) => iso > text);
  const [low, high] = bounds(op, from, after);
  const inside = op === "!=" ? 0 : 1;
  return (cells, out, n) => {
    for (let i = 0; i < n; i++) {
      const ms = cells[i] as number;
      out[i] = Number(ms >= low && ms < high) === inside ? 1 : 0;
    }
  };
}

/** The half-open range in which the comparison holds; for `!=` the one in which it does not. */
function bounds(op: Comparison, from: number, after: number): readonly [number, number] {
  switch (op) {
    case "<":
      return [Number.NEGATIVE_INFINITY, from];
    case "<=":
      return [Number.NEGATIVE_INFINITY, after];
    case ">":
      return [after, Number.POSITIVE_INFINITY];
    case ">=":
      return [from, Number.POSITIVE_INFINITY];
    default:
      return [from, after];
  }
}

/** By bisection: `test` is false up to some time and true from there on. */
function firstTime(test: (iso: string) => boolean): number {
  let low = FIRST_MS;
  let high = LAST_MS + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (test(new Date(middle).toISOString())) high = middle;
    else low = middle + 1;
  }
  return low;
}
