import { type Batch, ColumnBatch } from "./batch.ts";
import { type Column, Dictionary } from "./column.ts";
import { isJsonObject, type Json } from "./json.ts";

/** Fewer rows are not worth typed arrays. */
export const ROWS_MIN = 8;

/** Rows as columns when all have the same fields in the same order; `undefined` otherwise. */
export function columnsOf(batch: Batch): ColumnBatch | undefined {
  const rows = batch.rows();
  const first = rows[0];
  if (rows.length < ROWS_MIN || !isJsonObject(first)) return undefined;
  const names = Object.keys(first);
  if (names.length === 0) return undefined;
  const fields = fieldsOf(rows, names);
  if (fields === undefined) return undefined;
  const columns = new Map(names.map((name, i) => [name, columnOf(fields[i] as Json[])]));
  return new ColumnBatch(columns, null, rows.length);
}

/**
 * The values of each field, `undefined` when a row has others. Rows are walked through field by field, which reads each where it
 * lies: to look one up by its name costs several times as much.
 */
function fieldsOf(rows: readonly Json[], names: readonly string[]): Json[][] | undefined {
  const fields = names.map(() => new Array<Json>(rows.length));
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at] as Json;
    if (!isJsonObject(row)) return undefined;
    let i = 0;
    for (const name in row) {
      if (name !== names[i]) return undefined;
      (fields[i++] as Json[])[at] = row[name] as Json;
    }
    if (i !== names.length) return undefined;
  }
  return fields;
}

function columnOf(values: readonly Json[]): Column {
  switch (commonType(values)) {
    case "number":
      return { type: "number", values: numbers(values), nulls: nullsOf(values) };
    case "boolean":
      return { type: "boolean", values: whereIs(values, true), nulls: nullsOf(values) };
    case "string":
      return strings(values);
    default:
      return { type: "json", values };
  }
}

/** Of all that are not null; `undefined` when there is none. */
function commonType(values: readonly Json[]): string | undefined {
  let type: string | undefined;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value === null) continue;
    type ??= typeof value;
    if (typeof value !== type) return undefined;
  }
  return type;
}

function nullsOf(values: readonly Json[]): Uint8Array | null {
  return values.includes(null) ? whereIs(values, null) : null;
}

/** 1 where a value is `wanted`. */
function whereIs(values: readonly Json[], wanted: Json): Uint8Array {
  const found = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) if (values[i] === wanted) found[i] = 1;
  return found;
}

/** Whole numbers of 32 bits take half the room; there is no -0 among them. */
function numbers(values: readonly Json[]): Float64Array | Int32Array {
  const doubles = new Float64Array(values.length);
  let areInt32 = true;
  for (let i = 0; i < values.length; i++) {
    const value = (values[i] ?? 0) as number;
    doubles[i] = value;
    areInt32 &&= Object.is(value | 0, value);
  }
  return areInt32 ? new Int32Array(doubles) : doubles;
}

/** Strings that repeat become a dictionary; others stay as they are. */
function strings(values: readonly Json[]): Column {
  const dictionary = new Dictionary();
  const codes = new Uint32Array(values.length);
  let [last, lastCode]: [Json, number] = [null, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as Json;
    if (value === null) continue;
    // Runs are common, and two strings are compared faster than one is hashed.
    if (value !== last) [last, lastCode] = [value, dictionary.code(value)];
    codes[i] = lastCode;
    if (dictionary.values.length > values.length / 2) return { type: "json", values };
  }
  return { type: "dictionary", codes, dictionary, nulls: nullsOf(values) };
}
