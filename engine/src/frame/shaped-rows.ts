/**
 * A few rows of one shape as bytes, for frames of so few rows that columns are not worth it: the fields' names once, then of each
 * row its values, each led by what it is. Takes scalars only.
 */
import type { ByteReader } from "./byte-reader.ts";
import { NOWHERE, writeAscii, writeBytes, writeInteger } from "./byte-writer.ts";
import { ROWS_MIN } from "./columns-of.ts";
import { PROTOTYPE } from "./field.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import { SLAB_BYTES } from "./slab.ts";

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
/** An integer of 31 bits and its sign. */
const NATURAL = 3;
const NEGATIVE = 4;
const FLOAT = 5;
const ASCII = 6;
const UTF16 = 7;

/** Bytes of a value that is no string, with what it is; of a string: that beside three for each character. */
const VALUE_BYTES_MAX = 16;

interface Shape {
  readonly names: readonly string[];
  /** The names as they are written, their length before them. */
  readonly bytes: Uint8Array;
  /** A row without values: its copies are of one hidden class. */
  readonly empty: JsonObject;
}

/** What was written and read last: rows of a lane are mostly of one shape. */
let written: Shape | undefined;
let read: Shape | undefined;

/** Where the rows end; {@link NOWHERE} where they are not of one shape, have values that are no scalars, or need more room. */
export function writeShapedRows(bytes: Buffer, start: number, rows: readonly Json[]): number {
  const end = written === undefined ? NOWHERE : writeRows(bytes, start, rows, written);
  if (end !== NOWHERE) return end;
  const first = rows[0];
  if (!isJsonObject(first) || !isFlat(first) || (written !== undefined && hasShape(first, written.names)))
    return NOWHERE;
  written = shapeOf(Object.keys(first));
  return writeRows(bytes, start, rows, written);
}

/** @throws RangeError, SyntaxError, TypeError these are no rows that were written */
export function readShapedRows(reader: ByteReader): readonly Json[] {
  if (read === undefined || !reader.passes(read.bytes)) read = readShape(reader);
  const { names, empty } = read;
  const n = reader.integer();
  // An array that grows takes room for more than a few.
  const rows = new Array<Json>(Math.min(n, ROWS_MIN));
  for (let at = 0; at < n; at++) {
    const row: Record<string, Json> = { ...empty };
    for (let i = 0; i < names.length; i++) row[names[i] as string] = readValue(reader);
    rows[at] = row;
  }
  return rows;
}

/** Most rows that cannot be written are seen by this, before anything is. */
function isFlat(row: JsonObject): boolean {
  for (const key in row) {
    const value = row[key];
    if (typeof value === "object" && value !== null) return false;
  }
  return true;
}

function hasShape(row: JsonObject, names: readonly string[]): boolean {
  let i = 0;
  for (const key in row) if (key !== names[i++]) return false;
  return i === names.length;
}

/** Names that a row has only by definition, and too many of them, are left to others: their shape has no bytes. */
function shapeOf(names: readonly string[]): Shape {
  const text = Buffer.from(JSON.stringify(names));
  const isFit = names.length > 0 && text.length <= NAMES_BYTES_MAX && !names.includes(PROTOTYPE);
  if (!isFit) return { names, bytes: new Uint8Array(), empty: {} };
  const bytes = Uint8Array.of(text.length & 0xff, text.length >> 8, ...text);
  return { names, bytes, empty: Object.fromEntries(names.map((name) => [name, null])) };
}

const NAMES_BYTES_MAX = 4096;

function readShape(reader: ByteReader): Shape {
  const length = reader.byte() + (reader.byte() << 8);
  const names = JSON.parse(Buffer.from(reader.copied(length)).toString()) as unknown;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new TypeError("no names of fields");
  const shape = shapeOf(names);
  if (shape.bytes.length === 0) throw new TypeError("no names of fields");
  return shape;
}

function writeRows(bytes: Buffer, start: number, rows: readonly Json[], shape: Shape): number {
  const { names, bytes: lead } = shape;
  if (lead.length === 0 || start + lead.length + VALUE_BYTES_MAX > SLAB_BYTES) return NOWHERE;
  let at = writeInteger(bytes, writeBytes(bytes, start, lead), rows.length);
  for (let i = 0; i < rows.length && at !== NOWHERE; i++) at = writeRow(bytes, at, rows[i] as Json, names);
  return at;
}

function writeRow(bytes: Buffer, start: number, row: Json, names: readonly string[]): number {
  if (!isJsonObject(row)) return NOWHERE;
  let at = start;
  let i = 0;
  for (const key in row) {
    if (key !== names[i++]) return NOWHERE;
    at = writeValue(bytes, at, row[key] as Json);
    if (at === NOWHERE) return NOWHERE;
  }
  return i === names.length ? at : NOWHERE;
}

function writeValue(bytes: Buffer, at: number, value: Json): number {
  if (at + VALUE_BYTES_MAX > SLAB_BYTES) return NOWHERE;
  if (typeof value === "string") return writeString(bytes, at, value);
  if (typeof value === "number") return writeNumber(bytes, at, value);
  if (value !== null && typeof value !== "boolean") return NOWHERE;
  bytes[at] = value === null ? NULL : value ? TRUE : FALSE;
  return at + 1;
}

function writeNumber(bytes: Buffer, at: number, value: number): number {
  const integer = value | 0;
  if (!Object.is(integer, value)) {
    bytes[at] = FLOAT;
    return bytes.writeDoubleLE(value, at + 1);
  }
  bytes[at] = integer < 0 ? NEGATIVE : NATURAL;
  return writeInteger(bytes, at + 1, integer < 0 ? -(integer + 1) : integer);
}

function writeString(bytes: Buffer, start: number, value: string): number {
  if (start + VALUE_BYTES_MAX + 3 * value.length > SLAB_BYTES) return NOWHERE;
  bytes[start] = ASCII;
  const at = writeInteger(bytes, start + 1, value.length);
  const end = writeAscii(bytes, at, value);
  if (end !== NOWHERE) return end;
  bytes[start] = UTF16;
  return at + bytes.write(value, at, "utf16le");
}

function readValue(reader: ByteReader): Json {
  const kind = reader.byte();
  switch (kind) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NATURAL:
      return reader.integer();
    case NEGATIVE:
      return -1 - reader.integer();
    case FLOAT:
      return reader.float();
    case ASCII:
      return reader.ascii(reader.integer());
    case UTF16:
      return reader.utf16(reader.integer());
    default:
      throw new TypeError(`unknown kind of value ${kind}`);
  }
}
