/** Lets the messages through for which an expression is `true`. Over columns that is one selection vector, and no copy. */
import { type PureBehavior, pureResult } from "@millrace/engine";
import type { Expression } from "./expression.ts";

export interface FilterOptions {
  /** Only `true` passes; a message for which it cannot be evaluated fails. */
  readonly where: Expression;
}

const PORTS = ["out"] as const;

export function filter({ where }: FilterOptions): PureBehavior {
  return {
    kind: "pure",
    ports: PORTS,
    transform(batch) {
      const { selected, failures } = where.predicate(batch);
      if (selected.length === batch.n) return pureResult(batch);
      return pureResult(batch.select(selected), selected, failures);
    },
    row: (row) => (where.row(row) === true ? row : undefined),
  };
}
