/**
 * What a window computes. Each aggregate is made of a few running numbers per group (**cells**), which several aggregates may
 * share: `avg(x)` is `sum(x)` over the messages whose `x` is not null, and those are all messages but `nulls(x)`.
 */
import type { CellFold, CellSpec } from "@millrace/engine";
import type { Expression } from "../expression.ts";

export type AggregateFunction = "count" | "sum" | "avg" | "min" | "max";

/** As `parseAggregate` of the engine makes it. */
export interface Aggregate {
  readonly fn: AggregateFunction;
  /** What to aggregate; nulls are left out. Absent only for `count`: every message counts. */
  readonly argument?: Expression;
}

export interface ComputedField {
  readonly name: string;
  readonly fn: AggregateFunction;
  /** Cell of the function itself (`messages` for `count`, `sum` for `avg`), and that of its nulls, -1 for none. */
  readonly cell: number;
  readonly nulls: number;
}

export interface AggregatePlan {
  readonly expressions: readonly Expression[];
  /** True where an input needs to be a number; else only whether it is null matters. */
  readonly numeric: readonly boolean[];
  /** Cell 0 is `messages`. */
  readonly cells: readonly CellSpec[];
  readonly fields: readonly ComputedField[];
}

export function planAggregates(compute: ReadonlyMap<string, Aggregate>): AggregatePlan {
  const expressions: Expression[] = [];
  const numeric: boolean[] = [];
  const cells: CellSpec[] = [{ fold: "messages", input: -1 }];
  const cellOf = (fold: CellFold, input: number): number => {
    const found = cells.findIndex((c) => c.fold === fold && c.input === input);
    return found >= 0 ? found : cells.push({ fold, input }) - 1;
  };
  const inputOf = (expression: Expression, needsNumber: boolean): number => {
    const found = expressions.findIndex(
      (other) => other === expression || (other.source !== undefined && other.source === expression.source),
    );
    const input = found >= 0 ? found : expressions.push(expression) - 1;
    numeric[input] = (numeric[input] ?? false) || needsNumber;
    return input;
  };
  const fields = [...compute].map(([name, { fn, argument: of }]): ComputedField => {
    if (of === undefined) return { name, fn, cell: 0, nulls: -1 };
    const input = inputOf(of, fn !== "count");
    const nulls = fn === "count" || fn === "avg" ? cellOf("nulls", input) : -1;
    if (fn === "count") return { name, fn, cell: 0, nulls };
    return { name, fn, cell: cellOf(fn === "avg" ? "sum" : fn, input), nulls };
  });
  return { expressions, numeric, cells, fields };
}
