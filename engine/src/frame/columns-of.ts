import { type Batch, ColumnBatch } from "./batch.ts";
import { type Column, Dictionary } from "./column.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";

/** Fewer rows are not worth typed arrays. */
export const ROWS_MIN = 8;

/** Rows as columns when all have the same fields in the same order; `undefined` otherwise. */
export function columnsOf(batch: Batch): ColumnBatch | undefined {
  const rows = batch.rows();
  const first = rows[0];
  if (rows.length < ROWS_MIN || !isJsonObject(first)) return undefined;
  const names = Object.keys(first);
  if (names.length === 0 || !rows.every((row) => hasShape(row, names))) return undefined;
  const columns = new Map<string, Column>();
  for (const name of names) columns.set(name, columnOf(rows as readonly JsonObject[], name));
  return new ColumnBatch(columns, null, rows.length);
}

function hasShape(row: Json, names: readonly string[]): boolean {
  if (!isJsonObject(row)) return false;
  let i = 0;
  for (const key in row) if (key !== names[i++]) return false;
  return i === names.length;
}

function columnOf(rows: readonly JsonObject[], name: string): Column {
  const values = rows.map((row) => row[name] as Json);
  const type = typeof values.find((v) => v !== null);
  const uniform = values.every((v) => v === null || typeof v === type);
  if (!uniform) return { type: "json", values };
  const nulls = values.includes(null) ? Uint8Array.from(values, (v) => (v === null ? 1 : 0)) : null;
  if (type === "number") return { type: "number", values: numbers(values), nulls };
  if (type === "boolean")
    return { type: "boolean", values: Uint8Array.from(values, (v) => (v === true ? 1 : 0)), nulls };
  return type === "string" ? strings(values, nulls) : { type: "json", values };
}

function numbers(values: readonly Json[]): Float64Array | Int32Array {
  const fits = values.every((v) => v === null || (Object.is((v as number) | 0, v) && Number.isInteger(v)));
  return fits
    ? Int32Array.from(values, (v) => (v ?? 0) as number)
    : Float64Array.from(values, (v) => (v ?? 0) as number);
}

/** Strings that repeat become a dictionary; others stay as they are. */
function strings(values: readonly Json[], nulls: Uint8Array | null): Column {
  const dictionary = new Dictionary();
  const codes = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== null) codes[i] = dictionary.code(values[i] as string);
    if (dictionary.values.length > values.length / 2) return { type: "json", values };
  }
  return { type: "dictionary", codes, dictionary, nulls };
}
