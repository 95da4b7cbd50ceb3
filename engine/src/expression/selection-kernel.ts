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

/** The steps of a condition by their numbers, operands first: parts, and what puts them together. */
const STEPS = [...COMPARISONS, "entries", "flags", "&&", "||", "!"] as const;

export type ConditionStep = (typeof STEPS)[number];

export function conditionStep(step: ConditionStep): number {
  return STEPS.indexOf(step);
}

/** A condition of several parts. Cells, limit and entries of a part are where it stands among the parts. */
export interface PreparedCondition {
  readonly steps: Uint32Array;
  /** Of a comparison numbers, of `entries` codes, of `flags` 0 and 1. */
  readonly cells: readonly (Cells | Uint32Array | Uint16Array | Uint8Array)[];
  /** Of a comparison what it compares with. */
  readonly limits: Float64Array;
  /** Of `entries` what they say. */
  readonly entries: readonly Uint8Array[];
}

export interface SelectionKernel {
  /** Where `cell op limit` holds. */
  comparing(op: Comparison, cells: Cells, limit: number, n: number, into: Uint32Array, at: number): number;
  /** Where the entry of the code is 1; -1 if one is 2: unsure. */
  ofEntries(entries: Uint8Array, codes: Uint32Array | Uint16Array, n: number, into: Uint32Array, at: number): number;
  /** Where a condition of several parts holds; -1 if it is unsure somewhere. Without it they are masks, put together by TypeScript. */
  readonly condition?: (condition: PreparedCondition, n: number, into: Uint32Array, at: number) => number;
}
