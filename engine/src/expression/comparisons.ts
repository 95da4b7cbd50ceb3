/**
 * Comparisons over typed arrays, one loop per operator, because nothing may branch on it per cell. The loops take four cells a
 * turn: a cell is so little work that counting turns is a third of it (`npm run bench -- kernels`).
 */
import type { Ordering } from "./operators.ts";

export type Cells = Float64Array | Int32Array;
export type Comparison = Ordering | "==" | "!=";

/** Whole turns of the loops below, in cells. */
const TURNS = ~3;

function holds(op: Comparison, a: number, b: number): boolean {
  switch (op) {
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
    case "==":
      return a === b;
    case "!=":
      return a !== b;
  }
}

/** Writes 1 or 0 for each of the first `n` cells. */
export function compareTo(op: Comparison, a: Cells, b: number, out: Uint8Array, n: number): void {
  const turns = n & TURNS;
  switch (op) {
    case "<":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) < b);
        out[i + 1] = Number((a[i + 1] as number) < b);
        out[i + 2] = Number((a[i + 2] as number) < b);
        out[i + 3] = Number((a[i + 3] as number) < b);
      }
      break;
    case "<=":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) <= b);
        out[i + 1] = Number((a[i + 1] as number) <= b);
        out[i + 2] = Number((a[i + 2] as number) <= b);
        out[i + 3] = Number((a[i + 3] as number) <= b);
      }
      break;
    case ">":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) > b);
        out[i + 1] = Number((a[i + 1] as number) > b);
        out[i + 2] = Number((a[i + 2] as number) > b);
        out[i + 3] = Number((a[i + 3] as number) > b);
      }
      break;
    case ">=":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) >= b);
        out[i + 1] = Number((a[i + 1] as number) >= b);
        out[i + 2] = Number((a[i + 2] as number) >= b);
        out[i + 3] = Number((a[i + 3] as number) >= b);
      }
      break;
    case "==":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number(a[i] === b);
        out[i + 1] = Number(a[i + 1] === b);
        out[i + 2] = Number(a[i + 2] === b);
        out[i + 3] = Number(a[i + 3] === b);
      }
      break;
    case "!=":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number(a[i] !== b);
        out[i + 1] = Number(a[i + 1] !== b);
        out[i + 2] = Number(a[i + 2] !== b);
        out[i + 3] = Number(a[i + 3] !== b);
      }
      break;
  }
  for (let i = turns; i < n; i++) out[i] = Number(holds(op, a[i] as number, b));
}

/** Writes 1 or 0 for each of the first `n` pairs. */
export function compare(op: Comparison, a: Cells, b: Cells, out: Uint8Array, n: number): void {
  const turns = n & TURNS;
  switch (op) {
    case ">":
      compare("<", b, a, out, n);
      return;
    case ">=":
      compare("<=", b, a, out, n);
      return;
    case "<":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) < (b[i] as number));
        out[i + 1] = Number((a[i + 1] as number) < (b[i + 1] as number));
        out[i + 2] = Number((a[i + 2] as number) < (b[i + 2] as number));
        out[i + 3] = Number((a[i + 3] as number) < (b[i + 3] as number));
      }
      break;
    case "<=":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number((a[i] as number) <= (b[i] as number));
        out[i + 1] = Number((a[i + 1] as number) <= (b[i + 1] as number));
        out[i + 2] = Number((a[i + 2] as number) <= (b[i + 2] as number));
        out[i + 3] = Number((a[i + 3] as number) <= (b[i + 3] as number));
      }
      break;
    case "==":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number(a[i] === b[i]);
        out[i + 1] = Number(a[i + 1] === b[i + 1]);
        out[i + 2] = Number(a[i + 2] === b[i + 2]);
        out[i + 3] = Number(a[i + 3] === b[i + 3]);
      }
      break;
    case "!=":
      for (let i = 0; i < turns; i += 4) {
        out[i] = Number(a[i] !== b[i]);
        out[i + 1] = Number(a[i + 1] !== b[i + 1]);
        out[i + 2] = Number(a[i + 2] !== b[i + 2]);
        out[i + 3] = Number(a[i + 3] !== b[i + 3]);
      }
      break;
  }
  for (let i = turns; i < n; i++) out[i] = Number(holds(op, a[i] as number, b[i] as number));
}

/**
 * Writes from `at` the indices below `n` of the cells for which the comparison holds, and returns where it ended. An index is
 * written before it is known whether it counts, because a processor cannot predict which cells pass: `into` needs room for
 * `n + 1` from `at`.
 */
export function indicesWhere(op: Comparison, a: Cells, b: number, into: Uint32Array, at: number, n: number): number {
  const turns = n & TURNS;
  let end = at;
  switch (op) {
    case "<":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number((a[i] as number) < b);
        into[end] = i + 1;
        end += Number((a[i + 1] as number) < b);
        into[end] = i + 2;
        end += Number((a[i + 2] as number) < b);
        into[end] = i + 3;
        end += Number((a[i + 3] as number) < b);
      }
      break;
    case "<=":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number((a[i] as number) <= b);
        into[end] = i + 1;
        end += Number((a[i + 1] as number) <= b);
        into[end] = i + 2;
        end += Number((a[i + 2] as number) <= b);
        into[end] = i + 3;
        end += Number((a[i + 3] as number) <= b);
      }
      break;
    case ">":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number((a[i] as number) > b);
        into[end] = i + 1;
        end += Number((a[i + 1] as number) > b);
        into[end] = i + 2;
        end += Number((a[i + 2] as number) > b);
        into[end] = i + 3;
        end += Number((a[i + 3] as number) > b);
      }
      break;
    case ">=":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number((a[i] as number) >= b);
        into[end] = i + 1;
        end += Number((a[i + 1] as number) >= b);
        into[end] = i + 2;
        end += Number((a[i + 2] as number) >= b);
        into[end] = i + 3;
        end += Number((a[i + 3] as number) >= b);
      }
      break;
    case "==":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number(a[i] === b);
        into[end] = i + 1;
        end += Number(a[i + 1] === b);
        into[end] = i + 2;
        end += Number(a[i + 2] === b);
        into[end] = i + 3;
        end += Number(a[i + 3] === b);
      }
      break;
    case "!=":
      for (let i = 0; i < turns; i += 4) {
        into[end] = i;
        end += Number(a[i] !== b);
        into[end] = i + 1;
        end += Number(a[i + 1] !== b);
        into[end] = i + 2;
        end += Number(a[i + 2] !== b);
        into[end] = i + 3;
        end += Number(a[i + 3] !== b);
      }
      break;
  }
  for (let i = turns; i < n; i++) {
    into[end] = i;
    end += Number(holds(op, a[i] as number, b));
  }
  return end;
}
