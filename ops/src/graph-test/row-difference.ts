/** What two lists of rows differ in, their order aside: a graph with several inputs has none of its own. */
import { canonicalJson, type Json } from "@millrace/engine";

export interface RowDifference {
  readonly missing: readonly Json[];
  readonly unexpected: readonly Json[];
}

/** A row counts as often as it is there. Objects are equal whatever the order of their keys. */
export function rowDifference(expected: readonly Json[], came: readonly Json[]): RowDifference {
  const left = new Map<string, number>();
  for (const row of came) left.set(canonicalJson(row), (left.get(canonicalJson(row)) ?? 0) + 1);
  const missing = expected.filter((row) => !take(left, row));
  const unexpected = came.filter((row) => take(left, row));
  return { missing, unexpected };
}

function take(left: Map<string, number>, row: Json): boolean {
  const key = canonicalJson(row);
  const n = left.get(key) ?? 0;
  left.set(key, n - 1);
  return n > 0;
}
