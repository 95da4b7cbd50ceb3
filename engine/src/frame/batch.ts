/**
 * The messages of a frame in one of two physical forms behind one interface: rows (an array of JSON values) or columns
 * (typed arrays and dictionaries with a selection vector). Both are immutable. Rows are made from columns only for user
 * functions and at sinks, and then once per batch.
 */
import { type Column, cell, cells } from "./column.ts";
import { PROTOTYPE, setField } from "./field.ts";
import type { Json } from "./json.ts";

export interface Batch {
  readonly kind: "rows" | "columns";
  /** Number of messages. */
  readonly n: number;
  /** Message `i` as a JSON value, `0 ≤ i < n`. */
  row(i: number): Json;
  /** All messages as JSON values, in order. Columns make them once and keep them. Do not change the array. */
  rows(): readonly Json[];
  /** The messages at `indices` (ascending, each below `n`), sharing the values. */
  select(indices: Uint32Array): Batch;
  /** The messages from `start` up to but not including `end`. */
  slice(start: number, end: number): Batch;
}

export class RowBatch implements Batch {
  readonly kind = "rows";
  readonly n: number;
  readonly #rows: readonly Json[];

  constructor(rows: readonly Json[]) {
    this.#rows = rows;
    this.n = rows.length;
  }

  row(i: number): Json {
    return this.#rows[i] as Json;
  }

  rows(): readonly Json[] {
    return this.#rows;
  }

  select(indices: Uint32Array): RowBatch {
    const out = new Array<Json>(indices.length);
    for (let i = 0; i < indices.length; i++) out[i] = this.#rows[indices[i] as number] as Json;
    return new RowBatch(out);
  }

  slice(start: number, end: number): RowBatch {
    return new RowBatch(this.#rows.slice(start, end));
  }
}

export const EMPTY_BATCH: Batch = new RowBatch([]);

export class ColumnBatch implements Batch {
  readonly kind = "columns";
  readonly n: number;
  /** In the order in which fields appear in a row. */
  readonly columns: ReadonlyMap<string, Column>;
  /** Physical index of message `i`; `null` when it is `i`. */
  readonly selection: Uint32Array | null;
  #rows: readonly Json[] | undefined;

  /** `n` counts messages: the length of `selection`, or of the columns when `selection` is `null`. */
  constructor(columns: ReadonlyMap<string, Column>, selection: Uint32Array | null, n: number) {
    this.columns = columns;
    this.selection = selection;
    this.n = n;
  }

  /** Physical index of message `i`. */
  at(i: number): number {
    return this.selection === null ? i : (this.selection[i] as number);
  }

  row(i: number): Json {
    if (this.#rows !== undefined) return this.#rows[i] as Json;
    const at = this.at(i);
    const row: Record<string, Json> = {};
    for (const [name, column] of this.columns) setField(row, name, cell(column, at));
    return row;
  }

  rows(): readonly Json[] {
    this.#rows ??= this.#made();
    return this.#rows;
  }

  /** Field by field: a loop that always writes the same field is faster than one that writes whole rows. */
  #made(): readonly Json[] {
    const rows = new Array<Record<string, Json>>(this.n);
    for (let i = 0; i < rows.length; i++) rows[i] = {};
    for (const [name, column] of this.columns) setFields(rows, name, cells(column, this.selection, this.n));
    return rows;
  }

  select(indices: Uint32Array): ColumnBatch {
    if (this.selection === null) return new ColumnBatch(this.columns, indices, indices.length);
    const composed = new Uint32Array(indices.length);
    for (let i = 0; i < indices.length; i++) composed[i] = this.selection[indices[i] as number] as number;
    return new ColumnBatch(this.columns, composed, composed.length);
  }

  slice(start: number, end: number): ColumnBatch {
    const selection = new Uint32Array(end - start);
    for (let i = start; i < end; i++) selection[i - start] = this.at(i);
    return new ColumnBatch(this.columns, selection, selection.length);
  }

  /** The same messages with one more column, or one replaced. `column` is indexed physically, as the others are. */
  with(name: string, column: Column): ColumnBatch {
    return new ColumnBatch(new Map(this.columns).set(name, column), this.selection, this.n);
  }
}

function setFields(rows: readonly Record<string, Json>[], name: string, values: readonly Json[]): void {
  if (name === PROTOTYPE)
    for (let i = 0; i < rows.length; i++) setField(rows[i] as Record<string, Json>, name, values[i] as Json);
  else for (let i = 0; i < rows.length; i++) (rows[i] as Record<string, Json>)[name] = values[i] as Json;
}
