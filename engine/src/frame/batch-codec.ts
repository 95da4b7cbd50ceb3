/**
 * Batches as bytes of a step or a frame on the wire: columns as the bytes of their arrays, strings by a dictionary of their
 * own, rows as msgpack. Rows of one shape are written as columns, which is a third of the size and decodes without objects.
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { type Batch, ColumnBatch, RowBatch } from "./batch.ts";
import { type Column, cells, Dictionary } from "./column.ts";
import { columnsOf } from "./columns-of.ts";
import type { Json } from "./json.ts";

const ROWS = 0;
const COLUMNS = 1;

/** A value for `StateEvent` or any msgpack encoder; {@link decodeBatch} reads it back. */
export function encodeBatch(batch: Batch): StateEvent {
  const columns = batch instanceof ColumnBatch ? batch : columnsOf(batch);
  if (columns === undefined) return [ROWS, batch.rows() as StateEvent];
  return [COLUMNS, columns.n, [...columns.columns].map(([name, column]) => encodeColumn(name, column, columns))];
}

/** @throws TypeError when the value is not an encoded batch */
export function decodeBatch(encoded: StateEvent): Batch {
  const parts = encoded as readonly StateEvent[];
  if (!Array.isArray(encoded)) throw new TypeError("not an encoded batch");
  if (parts[0] === ROWS) return new RowBatch(parts[1] as readonly Json[]);
  if (parts[0] !== COLUMNS) throw new TypeError(`unknown batch form ${String(parts[0])}`);
  const columns = new Map<string, Column>();
  for (const column of parts[2] as readonly StateEvent[][]) columns.set(column[0] as string, decodeColumn(column));
  return new ColumnBatch(columns, null, parts[1] as number);
}

const KINDS = { json: 0, f64: 1, i32: 2, boolean: 3, time: 4, dictionary: 5 } as const;

function encodeColumn(name: string, column: Column, batch: ColumnBatch): StateEvent {
  const { selection, n } = batch;
  if (column.type === "json") return [name, KINDS.json, cells(column, selection, n) as StateEvent];
  const nulls = column.nulls === null ? null : pick(column.nulls, selection, n, Uint8Array);
  switch (column.type) {
    case "number":
      return column.values instanceof Int32Array
        ? [name, KINDS.i32, bytesOf(pick(column.values, selection, n, Int32Array)), nulls]
        : [name, KINDS.f64, bytesOf(pick(column.values, selection, n, Float64Array)), nulls];
    case "boolean":
      return [name, KINDS.boolean, pick(column.values, selection, n, Uint8Array), nulls];
    case "time":
      return [name, KINDS.time, bytesOf(pick(column.values, selection, n, Float64Array)), nulls];
    case "dictionary":
      return encodeDictionary(name, column.codes, column.dictionary, batch, nulls);
  }
}

/** Only the entries that this batch uses, renumbered: the shared dictionary may be far larger. */
function encodeDictionary(
  name: string,
  codes: ArrayLike<number>,
  dictionary: Dictionary,
  batch: ColumnBatch,
  nulls: Uint8Array | null,
): StateEvent {
  const renumbered = new Int32Array(dictionary.values.length).fill(-1);
  const values: Json[] = [];
  const own = new Uint32Array(batch.n);
  for (let i = 0; i < batch.n; i++) {
    const at = batch.at(i);
    if (nulls !== null && nulls[i] === 1) continue;
    const code = codes[at] as number;
    if (renumbered[code] === -1) {
      renumbered[code] = values.length;
      values.push(dictionary.values[code] as Json);
    }
    own[i] = renumbered[code] as number;
  }
  const narrow = values.length <= 256 ? Uint8Array.from(own) : values.length <= 65_536 ? Uint16Array.from(own) : own;
  return [name, KINDS.dictionary, bytesOf(narrow), nulls, values as StateEvent, narrow.BYTES_PER_ELEMENT];
}

function decodeColumn(parts: readonly StateEvent[]): Column {
  const data = parts[2] as Uint8Array;
  const nulls = (parts[3] ?? null) as Uint8Array | null;
  switch (parts[1]) {
    case KINDS.json:
      return { type: "json", values: parts[2] as readonly Json[] };
    case KINDS.f64:
      return { type: "number", values: new Float64Array(aligned(data)), nulls };
    case KINDS.i32:
      return { type: "number", values: new Int32Array(aligned(data)), nulls };
    case KINDS.boolean:
      return { type: "boolean", values: data, nulls };
    case KINDS.time:
      return { type: "time", values: new Float64Array(aligned(data)), nulls };
    case KINDS.dictionary:
      return decodeDictionary(data, nulls, parts[4] as readonly Json[], parts[5] as number);
    default:
      throw new TypeError(`unknown column kind ${String(parts[1])}`);
  }
}

function decodeDictionary(data: Uint8Array, nulls: Uint8Array | null, values: readonly Json[], width: number): Column {
  const dictionary = new Dictionary();
  const code = values.map((value) => dictionary.code(value));
  const buffer = aligned(data);
  const local = width === 1 ? data : width === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
  const codes = new Uint32Array(local.length);
  for (let i = 0; i < codes.length; i++) codes[i] = code[local[i] as number] ?? 0;
  return { type: "dictionary", codes, dictionary, nulls };
}

type TypedArray = Float64Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

function pick<T extends Float64Array | Int32Array | Uint8Array>(
  from: T,
  selection: Uint32Array | null,
  n: number,
  make: new (n: number) => T,
): T {
  if (selection === null) return from.subarray(0, n) as T;
  const out = new make(n);
  for (let i = 0; i < n; i++) out[i] = from[selection[i] as number] as number;
  return out;
}

function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Bytes out of a decoder start anywhere; typed arrays need them at a multiple of their width. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
