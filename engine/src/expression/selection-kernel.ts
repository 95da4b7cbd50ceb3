/**
 * Loops that pick the messages of a frame for which one comparison, or a condition on one dictionary column, holds. A kernel knows no expressions, only arrays, so that it can be
 * written in another language; every implementation gives the same indices.
 *
 * Each writes indices below `n`, ascending, from `at`, and returns where they end. `into` has room for `n + 1` from `at`; what
 * follows the indices there is unspecified.
 */
import type { Cells, Comparison } from "./comparisons.ts";

/** The comparisons by their numbers in a kernel that has no texts. */
export const COMPARISONS = ["<", "<=", ">", ">=", "==", "!="] as const satisfies readonly Comparison[];

export interface SelectionKernel {
  /** Where `cell op limit` holds. */
  comparing(op: Comparison, cells: Cells, limit: number, n: number, into: Uint32Array, at: number): number;
  /** Where the entry of the code is 1; -1 if one is 2: unsure. */
  ofEntries(entries: Uint8Array, codes: Uint32Array | Uint16Array, n: number, into: Uint32Array, at: number): number;
}
