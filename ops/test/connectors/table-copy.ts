/**
 * A copy of tables that is kept by their changes, and accepts none that does not fit: a row that is there cannot come again, and one that
 * is not cannot change or go. So whoever loses a change, or gives a row twice, is found out.
 */
import type { JsonObject } from "@millrace/engine";

export interface CopiedChange extends JsonObject {
  readonly op: string;
  readonly table: string;
}

export class TableCopy {
  readonly #key: string;
  readonly #tables = new Map<string, Map<unknown, JsonObject>>();
  /** What did not fit. */
  readonly faults: string[] = [];

  constructor(key = "id") {
    this.#key = key;
  }

  static of(changes: readonly JsonObject[]): TableCopy {
    const copy = new TableCopy();
    for (const change of changes) copy.apply(change as CopiedChange);
    return copy;
  }

  apply(change: CopiedChange): void {
    const { op, table } = change;
    const rows = this.#tables.get(table) ?? new Map<unknown, JsonObject>();
    this.#tables.set(table, rows);
    if (op === "truncate") {
      rows.clear();
      return;
    }
    const [before, after] = [change.before, change.after] as [JsonObject | undefined, JsonObject | undefined];
    const key = (before ?? after)?.[this.#key];
    const isNew = op === "insert" || op === "read";
    if (rows.has(key) === isNew)
      this.faults.push(`${op} of ${table} ${String(key)}, which is ${isNew ? "" : "not "}there`);
    if (op !== "insert" && op !== "read") rows.delete(key);
    if (after === undefined) return;
    if (rows.has(after[this.#key]))
      this.faults.push(`${op} of ${table} to ${String(after[this.#key])}, which is there`);
    rows.set(after[this.#key], after);
  }

  /** In the order of their keys, which are numbers. */
  rows(table: string): readonly JsonObject[] {
    const rows = [...(this.#tables.get(table)?.values() ?? [])];
    return rows.sort((a, b) => Number(a[this.#key]) - Number(b[this.#key]));
  }
}
