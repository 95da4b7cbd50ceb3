/**
 * Rows as bytes: the number of their shape, then their cells. A shape is a list of field names; a projection has few, and
 * they are stored once. Cells are written from columns without making the row.
 */
import { type Json, type JsonObject, setField } from "@millrace/engine";
import type { Bytes } from "./bytes.ts";

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const INT32 = 3;
const FLOAT64 = 4;
const SHORT = 5;
const LONG = 6;
const JSON_TEXT = 7;

const SHORT_BYTES_MAX = 255;
/** A row has two bytes for the number of its shape. */
const SHAPES_MAX = 65_536;

/** Field lists in the order of their numbers. Grows only. */
export class Shapes {
  #fields: (readonly string[])[];
  #numbers = new Map<string, number>();
  #last = -1;

  constructor(fields: readonly (readonly string[])[] = []) {
    this.#fields = [];
    this.restore(fields);
  }

  get all(): readonly (readonly string[])[] {
    return this.#fields;
  }

  restore(fields: readonly (readonly string[])[]): void {
    this.#fields = [...fields];
    this.#numbers = new Map(fields.map((names, number) => [JSON.stringify(names), number]));
    this.#last = -1;
  }

  numberOf(names: readonly string[]): number {
    // Rows of one shape come in a row.
    if (same(this.#fields[this.#last], names)) return this.#last;
    const name = JSON.stringify(names);
    this.#last = this.#numbers.get(name) ?? this.#add(name, names);
    return this.#last;
  }

  fieldsOf(number: number): readonly string[] {
    const fields = this.#fields[number];
    if (fields === undefined) throw new RangeError(`a row has the unknown shape ${number}`);
    return fields;
  }

  #add(name: string, names: readonly string[]): number {
    if (this.#fields.length === SHAPES_MAX)
      throw new RangeError(`the rows have more than ${SHAPES_MAX} different lists of fields`);
    this.#fields = [...this.#fields, names];
    this.#numbers.set(name, this.#fields.length - 1);
    return this.#fields.length - 1;
  }
}

function same(known: readonly string[] | undefined, names: readonly string[]): boolean {
  if (known === undefined || known.length !== names.length) return false;
  for (let i = 0; i < names.length; i++) if (known[i] !== names[i]) return false;
  return true;
}

export function writeRow(row: JsonObject, shapes: Shapes, out: Bytes): void {
  const names = Object.keys(row);
  out.uint16(shapes.numberOf(names));
  for (const name of names) writeCell(row[name] as Json, out);
}

export function writeCell(value: Json, out: Bytes): void {
  if (value === null) out.byte(NULL);
  else if (typeof value === "boolean") out.byte(value ? TRUE : FALSE);
  else if (typeof value === "number") writeNumber(value, out);
  else if (typeof value === "string") writeText(value, out);
  else writeJson(value, out);
}

export function writeNumber(value: number, out: Bytes): void {
  if ((value | 0) === value && !Object.is(value, -0)) {
    out.byte(INT32);
    out.int32(value);
  } else {
    out.byte(FLOAT64);
    out.float64(value);
  }
}

function writeText(value: string, out: Bytes): void {
  const start = out.at;
  out.uint16(SHORT << 8);
  const bytes = out.utf8(value);
  if (bytes <= SHORT_BYTES_MAX) {
    out.buffer[start + 1] = bytes;
    return;
  }
  out.at = start;
  out.byte(LONG);
  out.uint32(bytes);
  out.utf8(value);
}

function writeJson(value: Json, out: Bytes): void {
  const text = JSON.stringify(value);
  out.byte(JSON_TEXT);
  const start = out.at;
  out.uint32(0);
  out.buffer.writeUInt32BE(out.utf8(text), start);
}

export function readRow(bytes: Uint8Array, shapes: Shapes): JsonObject {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const row: Record<string, Json> = {};
  let at = 2;
  for (const name of shapes.fieldsOf(buffer.readUInt16BE(0))) {
    const [value, next] = readCell(buffer, at);
    setField(row, name, value);
    at = next;
  }
  return row;
}

function readCell(buffer: Buffer, at: number): readonly [Json, number] {
  switch (buffer[at]) {
    case NULL:
      return [null, at + 1];
    case FALSE:
      return [false, at + 1];
    case TRUE:
      return [true, at + 1];
    case INT32:
      return [buffer.readInt32BE(at + 1), at + 5];
    case FLOAT64:
      return [buffer.readDoubleBE(at + 1), at + 9];
    case SHORT: {
      const end = at + 2 + (buffer[at + 1] as number);
      return [buffer.toString("utf8", at + 2, end), end];
    }
    case LONG: {
      const end = at + 5 + buffer.readUInt32BE(at + 1);
      return [buffer.toString("utf8", at + 5, end), end];
    }
    case JSON_TEXT: {
      const end = at + 5 + buffer.readUInt32BE(at + 1);
      return [JSON.parse(buffer.toString("utf8", at + 5, end)) as Json, end];
    }
    default:
      throw new RangeError(`a row has a cell of unknown form ${buffer[at]}`);
  }
}
