/** Groups as output columns. */
import { type Column, ColumnBatch, Dictionary, type Json } from "@millrace/engine";
import type { ComputedField } from "./aggregate.ts";
import type { OpenWindows } from "./open-windows.ts";

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

  of(windows: OpenWindows, groups: readonly number[]): ColumnBatch {
    // As doubles, so that columns of doubles are made from them by `map`.
    const slots = Float64Array.from(groups);
    const starts = slots.map((slot) => windows.startOf(slot));
    const columns = new Map<string, Column>();
    for (const [field, name] of this.#by.entries()) columns.set(name, this.#keyColumn(windows, slots, field));
    columns.set("window_start", { type: "time", values: starts, nulls: null });
    columns.set("window_end", { type: "time", values: starts.map((start) => start + windows.sizeMs), nulls: null });
    for (const field of this.#fields) columns.set(field.name, computedColumn(windows.cells, slots, field));
    return new ColumnBatch(columns, null, slots.length);
  }

  #keyColumn(windows: OpenWindows, slots: Float64Array, field: number): Column {
    const dictionary = this.#dictionary(field);
    const codes = new Uint32Array(slots.length);
    for (let i = 0; i < codes.length; i++) {
      const value = windows.keys.key(windows.keyOf(slots[i] as number))[field] as Json;
      if (value !== null && typeof value === "object") return jsonColumn(windows, slots, field);
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

function jsonColumn(windows: OpenWindows, slots: Float64Array, field: number): Column {
  return { type: "json", values: Array.from(slots, (slot) => windows.keys.key(windows.keyOf(slot))[field] as Json) };
}

function computedColumn(
  cells: readonly Float64Array[],
  slots: Float64Array,
  { fn, cell, nulls }: ComputedField,
): Column {
  const of = cells[cell] as Float64Array;
  const messages = cells[0] as Float64Array;
  const missing = nulls < 0 ? undefined : (cells[nulls] as Float64Array);
  const values = new Float64Array(slots.length);
  let absent: Uint8Array | null = null;
  for (let i = 0; i < values.length; i++) {
    const slot = slots[i] as number;
    const present = (messages[slot] as number) - (missing === undefined ? 0 : (missing[slot] as number));
    const value = fn === "count" ? present : fn === "avg" ? (of[slot] as number) / present : (of[slot] as number);
    values[i] = value;
    // No value was seen (min, max, avg), or the sum left the range of numbers: JSON has neither.
    if (value - value === 0) continue;
    absent ??= new Uint8Array(slots.length);
    absent[i] = 1;
  }
  return { type: "number", values, nulls: absent };
}
