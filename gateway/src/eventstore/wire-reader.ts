/**
 * Reads messages in the protobuf wire format (protobuf.dev/programming-guides/encoding). Unknown fields are kept out of the
 * way; whatever is not well formed, of the wrong wire type or absurdly many is EVENTSTORE-INVALID.
 */
import { eventStoreError } from "./errors.ts";

/** A 16 MiB message could hold eight million empty fields; no real one comes near this. */
const FIELDS_MAX = 262_144;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Fields as they were met. Of one that is a run of bytes the place is kept, so that what nobody asks for costs no view of it. */
export class WireMessage {
  readonly #bytes: Buffer;
  readonly #fields: number[] = [];
  /** Numbers; of runs of bytes, where they begin. */
  readonly #values: (number | bigint)[] = [];
  /** Where runs of bytes end; -1: it is a number. */
  readonly #ends: number[] = [];

  /** @throws EVENTSTORE-INVALID */
  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    const cursor = new Cursor(bytes, start, end);
    while (cursor.at < end) {
      if (this.#fields.length === FIELDS_MAX) throw malformed("it has too many fields");
      this.#read(cursor);
    }
  }

  has(field: number): boolean {
    return this.#fields.includes(field);
  }

  /** Above 2^53 - 1 it is 2^53 - 1: no place in a log is there. Absent: 0. */
  uint(field: number): number {
    const value = this.#number(field);
    return typeof value === "bigint" ? Number.MAX_SAFE_INTEGER : value;
  }

  int32(field: number): number {
    return Number(BigInt.asIntN(32, this.int64(field)));
  }

  int64(field: number): bigint {
    return BigInt.asIntN(64, BigInt(this.#number(field)));
  }

  bool(field: number): boolean {
    return this.#number(field) !== 0;
  }

  /** Absent: empty. */
  bytes(field: number): Buffer {
    const i = this.#fields.lastIndexOf(field);
    return i < 0 ? EMPTY : this.#bytes.subarray(this.#start(i), this.#ends[i]);
  }

  /** Absent: empty. */
  text(field: number): string {
    const i = this.#fields.lastIndexOf(field);
    return i < 0 ? "" : this.#text(i);
  }

  /** Absent: an empty message. */
  message(field: number): WireMessage {
    const i = this.#fields.lastIndexOf(field);
    return i < 0 ? new WireMessage(EMPTY) : this.#message(i);
  }

  texts(field: number): string[] {
    return this.#all(field).map((i) => this.#text(i));
  }

  messages(field: number): WireMessage[] {
    return this.#all(field).map((i) => this.#message(i));
  }

  #read(cursor: Cursor): void {
    const tag = cursor.varint();
    const field = typeof tag === "number" ? Math.floor(tag / 8) : 0;
    if (field === 0 || field > 0x1fff_ffff) throw malformed("it has a field without a number");
    const wireType = Number(tag) & 7;
    this.#fields.push(field);
    if (wireType === RUN) {
      const length = cursor.varint();
      this.#values.push(cursor.at);
      this.#ends.push(cursor.passed(length));
    } else {
      this.#values.push(cursor.number(wireType));
      this.#ends.push(-1);
    }
  }

  #number(field: number): number | bigint {
    const i = this.#fields.lastIndexOf(field);
    if (i < 0) return 0;
    if (this.#ends[i] !== -1) throw malformed(`field ${field} is not a number`);
    return this.#values[i] as number | bigint;
  }

  #all(field: number): number[] {
    const found: number[] = [];
    for (let i = this.#fields.indexOf(field); i >= 0; i = this.#fields.indexOf(field, i + 1)) found.push(i);
    return found;
  }

  /** Where the run of bytes of the field at `i` begins. */
  #start(i: number): number {
    if (this.#ends[i] === -1) throw malformed(`field ${this.#fields[i]} is a number`);
    return this.#values[i] as number;
  }

  #text(i: number): string {
    return textBetween(this.#bytes, this.#start(i), this.#ends[i] as number);
  }

  #message(i: number): WireMessage {
    return new WireMessage(this.#bytes, this.#start(i), this.#ends[i]);
  }
}

const EMPTY = Buffer.alloc(0);

/** @throws EVENTSTORE-INVALID bytes that are no UTF-8 */
export function textOf(bytes: Buffer): string {
  return textBetween(bytes, 0, bytes.length);
}

/** Most texts are short names in ASCII, for which the decoder's call costs more than its work. */
const SHORT_BYTES = 64;

function textBetween(bytes: Buffer, start: number, end: number): string {
  if (end - start <= SHORT_BYTES && isAscii(bytes, start, end)) return bytes.toString("latin1", start, end);
  try {
    return utf8.decode(bytes.subarray(start, end));
  } catch {
    throw malformed("a text is not UTF-8");
  }
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((bytes[i] as number) >= HIGH_BIT) return false;
  return true;
}

/** The wire type of texts, bytes and messages. */
const RUN = 2;
const VARINT_BYTES_MAX = 10;
const HIGH_BIT = 0x80;

class Cursor {
  at: number;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  number(wireType: number): number | bigint {
    if (wireType === 0) return this.varint();
    if (wireType !== 1 && wireType !== 5) throw malformed(`wire type ${wireType} is none`);
    const start = this.at;
    const width = wireType === 1 ? 8 : 4;
    if (start + width > this.#end) throw malformed("it ends within a field");
    this.at += width;
    return width === 4 ? this.#bytes.readUInt32LE(start) : this.#bytes.readBigUInt64LE(start);
  }

  varint(): number | bigint {
    const start = this.at;
    let value = 0;
    for (let i = 0, scale = 1; i < VARINT_BYTES_MAX; i++, scale *= HIGH_BIT) {
      if (this.at === this.#end) throw malformed("it ends within a number");
      const byte = this.#bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < HIGH_BIT) return value <= Number.MAX_SAFE_INTEGER ? value : wide(this.#bytes, start, this.at);
    }
    throw malformed("a number has more than ten bytes");
  }

  /** Passes over so many bytes; where they end. */
  passed(length: number | bigint): number {
    const end = typeof length === "number" ? this.at + length : Number.POSITIVE_INFINITY;
    if (end > this.#end) throw malformed("a field is longer than its message");
    this.at = end;
    return end;
  }
}

function wide(bytes: Buffer, start: number, end: number): bigint {
  let value = 0n;
  for (let i = start; i < end; i++) value |= BigInt((bytes[i] as number) & 0x7f) << BigInt(7 * (i - start));
  return BigInt.asUintN(64, value);
}

function malformed(why: string): Error {
  return eventStoreError("EVENTSTORE-INVALID", `the message does not decode: ${why}`);
}
