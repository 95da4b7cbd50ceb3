/**
 * Typed columns: one array per field instead of one object per message. A column is a physical form; logically each cell is a
 * JSON value ({@link cell}), so that rows and columns are interchangeable everywhere.
 */
import { isoTime, type Json } from "./json.ts";

/** A `Map` takes -0 for 0. */
const NEGATIVE_ZERO = Symbol("-0");

/**
 * Distinct values that cells refer to by code. Append-only and shared between frames of one lane, so what is computed per
 * entry can be cached as long as the cache follows `values.length`.
 */
export class Dictionary {
  readonly values: Json[] = [];
  readonly #codes = new Map<Json | typeof NEGATIVE_ZERO, number>();

  /** The code of `value`, given one if it is new. Only scalars are found again; objects get a new code each time. */
  code(value: Json): number {
    const key = Object.is(value, -0) ? NEGATIVE_ZERO : value;
    const found = this.#codes.get(key);
    if (found !== undefined) return found;
    const code = this.values.length;
    this.values.push(value);
    this.#codes.set(key, code);
    return code;
  }
}

interface Nullable {
  /** 1 where the cell is `null`; the value there is unspecified. Absent: no cell is. */
  readonly nulls: Uint8Array | null;
}

export interface NumberColumn extends Nullable {
  readonly type: "number";
  readonly values: Float64Array | Int32Array;
}

export interface BooleanColumn extends Nullable {
  readonly type: "boolean";
  readonly values: Uint8Array;
}

/** Milliseconds since 1970 UTC; a cell reads as its ISO 8601 string. */
export interface TimeColumn extends Nullable {
  readonly type: "time";
  readonly values: Float64Array;
}

export interface DictionaryColumn extends Nullable {
  readonly type: "dictionary";
  readonly codes: Uint32Array | Uint16Array;
  readonly dictionary: Dictionary;
}

export interface JsonColumn {
  readonly type: "json";
  readonly values: readonly Json[];
}

export type Column = NumberColumn | BooleanColumn | TimeColumn | DictionaryColumn | JsonColumn;

/** The JSON value of the cell at physical index `i`. */
export function cell(column: Column, i: number): Json {
  if (column.type === "json") return column.values[i] ?? null;
  if (column.nulls !== null && column.nulls[i] === 1) return null;
  switch (column.type) {
    case "number":
      return column.values[i] as number;
    case "boolean":
      return column.values[i] === 1;
    case "time":
      return isoTime(column.values[i] as number);
    case "dictionary":
      return column.dictionary.values[column.codes[i] as number] ?? null;
  }
}

/** The JSON values of `n` cells: those at the physical indices of `selection`, or the first when it is `null`. */
export function cells(column: Column, selection: Uint32Array | null, n: number): Json[] {
  const found = new Array<Json>(n);
  if (column.type === "dictionary" && column.nulls === null) {
    const { values } = column.dictionary;
    for (let i = 0; i < n; i++)
      found[i] = values[column.codes[selection === null ? i : (selection[i] as number)] as number] ?? null;
  } else if (column.type === "number" && column.nulls === null) {
    for (let i = 0; i < n; i++) found[i] = column.values[selection === null ? i : (selection[i] as number)] as number;
  } else if (column.type === "json") {
    for (let i = 0; i < n; i++) found[i] = column.values[selection === null ? i : (selection[i] as number)] ?? null;
  } else {
    for (let i = 0; i < n; i++) found[i] = cell(column, selection === null ? i : (selection[i] as number));
  }
  return found;
}
