/**
 * A few rows of one shape as bytes, for frames of so few rows that columns are not worth it: the fields' names once, then of each
 * row its values, each led by what it is. Takes scalars only.
 */
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";

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

/** False, and what was written is of no use, where the rows are not of one shape, have values that are no scalars, or need more room. */
export function writeShapedRows(writer: ByteWriter, rows: readonly Json[]): boolean {
  const first = rows[0];
  if (!isJsonObject(first) || !isFlat(first)) return false;
  if (written === undefined || !hasShape(first, written.names)) written = shapeOf(Object.keys(first));
  const { names, bytes } = written;
  if (bytes.length === 0 || writer.room < bytes.length + VALUE_BYTES_MAX) return false;
  writer.copy(bytes);
  writer.integer(rows.length);
  for (let i = 0; i < rows.length; i++) if (!writeRow(writer, rows[i] as Json, names)) return false;
  return true;
}

/** @throws RangeError, SyntaxError, TypeError these are no rows that were written */
export function readShapedRows(reader: ByteReader): readonly Json[] {
  if (read === undefined || !reader.passes(read.bytes)) read = readShape(reader);
  const { names, empty } = read;
  const rows: Json[] = [];
  for (let left = reader.integer(); left > 0; left--) {
    const row: Record<string, Json> = { ...empty };
    for (let i = 0; i < names.length; i++) row[names[i] as string] = readValue(reader);
    rows.push(row);
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
  const isFit = names.length > 0 && text.length <= NAMES_BYTES_MAX && !names.includes("__proto__");
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

function writeRow(writer: ByteWriter, row: Json, names: readonly string[]): boolean {
  if (!isJsonObject(row)) return false;
  let i = 0;
  for (const key in row) {
    if (key !== names[i++]) return false;
    if (!writeValue(writer, row[key] as Json)) return false;
  }
  return i === names.length;
}

function writeValue(writer: ByteWriter, value: Json): boolean {
  if (writer.room < VALUE_BYTES_MAX) return false;
  if (typeof value === "string") return writeString(writer, value);
  if (typeof value === "number") writeNumber(writer, value);
  else if (value === null) writer.byte(NULL);
  else if (typeof value === "boolean") writer.byte(value ? TRUE : FALSE);
  else return false;
  return true;
}

function writeNumber(writer: ByteWriter, value: number): void {
  const integer = value | 0;
  if (!Object.is(integer, value)) {
    writer.byte(FLOAT);
    writer.float(value);
  } else if (integer < 0) {
    writer.byte(NEGATIVE);
    writer.integer(-(integer + 1));
  } else {
    writer.byte(NATURAL);
    writer.integer(integer);
  }
}

function writeString(writer: ByteWriter, value: string): boolean {
  if (writer.room < VALUE_BYTES_MAX + 3 * value.length) return false;
  const at = writer.length;
  writer.byte(ASCII);
  writer.integer(value.length);
  if (!writer.ascii(value)) {
    writer.patch(at, UTF16);
    writer.utf16(value);
  }
  return true;
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
