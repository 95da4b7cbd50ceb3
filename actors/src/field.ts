/** A field of the message as an {@link Expression}, for graphs built in code; missing fields are null. */
import { ColumnBatch, fieldOf, type Json } from "@millrace/engine";
import type { Expression } from "./expression.ts";

export function field(name: string): Expression {
  const row = (event: Json): Json => fieldOf(event, name) ?? null;
  return {
    row,
    predicate(batch) {
      const selected = new Uint32Array(batch.n);
      let n = 0;
      for (let i = 0; i < batch.n; i++) if (row(batch.row(i)) === true) selected[n++] = i;
      return { selected: selected.slice(0, n), failures: [] };
    },
    column(batch) {
      const found = batch instanceof ColumnBatch ? batch.columns.get(name) : undefined;
      if (found !== undefined) return { column: found, failures: [] };
      const values = batch instanceof ColumnBatch ? [] : batch.rows().map(row);
      return { column: { type: "json", values }, failures: [] };
    },
  };
}
