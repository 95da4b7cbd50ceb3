import type { OrderedWriter } from "@millrace/engine";
import type { RowSpace } from "./rows.ts";

/** Rows in a table of a transaction, for as long as it runs. */
export function tableSpace(tx: OrderedWriter, table: string): RowSpace {
  return {
    get: (key) => tx.get(table, key),
    put: (key, value) => tx.put(table, key, value),
    delete: (key) => tx.delete(table, key),
  };
}
