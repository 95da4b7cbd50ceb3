/** Groups as output columns. */
import { type Column, ColumnBatch, Dictionary, type Json } from "@millrace/engine";
import type { ComputedField } from "./aggregate.ts";
import type { Groups } from "./groups.ts";

/** A dictionary only grows; past this many entries the next batch starts a new one. */
const DICTIONARY_ENTRIES_MAX = 65_536;

export class WindowRows {
  readonly #by: readonly string[];
  readonly #fields: readonly ComputedField[];
  readonly #dictionaries: Dictionary[];

  constructor(by: readonly string[], fields: readonly ComputedField[]) {
    this.#by = by;
    this.#fields = fields;
    this.#dictionaries = by.map(() => new Dictionary());
  }

  of({ n, starts, keys, cells }: Groups, sizeMs: number): ColumnBatch {
    const columns = new Map<string, Column>();
    for (const [field, name] of this.#by.entries()) columns.set(name, this.#keyColumn(keys, field));
    columns.set("window_start", { type: "time", values: starts, nulls: null });
    columns.set("window_end", { type: "time", values: starts.map((start) => start + sizeMs), nulls: null });
    for (const field of this.#fields) columns.set(field.name, computedColumn(cells, n, field));
    return new ColumnBatch(columns, null, n);
  }

  #keyColumn(keys: Groups["keys"], field: number): Column {
    const dictionary = this.#dictionary(field);
    const codes = new Uint32Array(keys.length);
    for (let i = 0; i < codes.length; i++) {
      const value = keys[i]?.[field] as Json;
      if (value !== null && typeof value === "object")
        return { type: "json", values: keys.map((key) => key[field] as Json) };
      codes[i] = dictionary.code(value);
    }
    return { type: "dictionary", codes, dictionary, nulls: null };
  }

  #dictionary(field: number): Dictionary {
    const current = this.#dictionaries[field];
    if (current !== undefined && current.values.length <= DICTIONARY_ENTRIES_MAX) return current;
    const fresh = new Dictionary();
    this.#dictionaries[field] = fresh;
    return fresh;
  }
}

function computedColumn(cells: readonly Float64Array[], n: number, { fn, cell, nulls }: ComputedField): Column {
  const of = cells[cell] as Float64Array;
  const messages = cells[0] as Float64Array;
  const missing = nulls < 0 ? undefined : (cells[nulls] as Float64Array);
  const values = new Float64Array(n);
  let absent: Uint8Array | null = null;
  for (let i = 0; i < n; i++) {
    const present = (messages[i] as number) - (missing === undefined ? 0 : (missing[i] as number));
    const value = fn === "count" ? present : fn === "avg" ? (of[i] as number) / present : (of[i] as number);
    values[i] = value;
    // No value was seen (min, max, avg), or the sum left the range of numbers: JSON has neither.
    if (value - value === 0) continue;
    absent ??= new Uint8Array(n);
    absent[i] = 1;
  }
  return { type: "number", values, nulls: absent };
}
