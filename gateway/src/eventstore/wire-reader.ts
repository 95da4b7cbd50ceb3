/**
 * Reads messages in the protobuf wire format (protobuf.dev/programming-guides/encoding). Unknown fields are kept out of the
 * way; whatever is not well formed, of the wrong wire type or absurdly many is EVENTSTORE-INVALID.
 */
import { eventStoreError } from "./errors.ts";

/** A 16 MiB message could hold eight million empty fields; no real one comes near this. */
const FIELDS_MAX = 262_144;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Value = number | bigint | Buffer;

export class WireMessage {
  readonly #fields = new Map<number, Value | Value[]>();

  /** @throws EVENTSTORE-INVALID */
  constructor(bytes: Buffer) {
    let at = 0;
    for (let count = 0; at < bytes.length; count++) {
      if (count === FIELDS_MAX) throw malformed("it has too many fields");
      const [tag, afterTag] = varint(bytes, at);
      const field = typeof tag === "number" ? Math.floor(tag / 8) : 0;
      if (field === 0 || field > 0x1fff_ffff) throw malformed("it has a field without a number");
      const [value, end] = valueAt(bytes, afterTag, Number(tag) & 7);
      this.#add(field, value);
      at = end;
    }
  }

  has(field: number): boolean {
    return this.#fields.has(field);
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
    const value = this.#last(field) ?? EMPTY;
    if (!Buffer.isBuffer(value)) throw malformed(`field ${field} is a number`);
    return value;
  }

  text(field: number): string {
    return textOf(this.bytes(field));
  }

  /** Absent: an empty message. */
  message(field: number): WireMessage {
    return new WireMessage(this.bytes(field));
  }

  texts(field: number): string[] {
    return this.#all(field).map(textOf);
  }

  messages(field: number): WireMessage[] {
    return this.#all(field).map((bytes) => new WireMessage(bytes));
  }

  #add(field: number, value: Value): void {
    const before = this.#fields.get(field);
    if (before === undefined) this.#fields.set(field, value);
    else if (Array.isArray(before)) before.push(value);
    else this.#fields.set(field, [before, value]);
  }

  #last(field: number): Value | undefined {
    const value = this.#fields.get(field);
    return Array.isArray(value) ? value.at(-1) : value;
  }

  #number(field: number): number | bigint {
    const value = this.#last(field) ?? 0;
    if (Buffer.isBuffer(value)) throw malformed(`field ${field} is not a number`);
    return value;
  }

  #all(field: number): Buffer[] {
    const value = this.#fields.get(field);
    const values = value === undefined ? [] : Array.isArray(value) ? value : [value];
    return values.map((one) => {
      if (!Buffer.isBuffer(one)) throw malformed(`field ${field} is a number`);
      return one;
    });
  }
}

const EMPTY = Buffer.alloc(0);

/** @throws EVENTSTORE-INVALID bytes that are no UTF-8 */
export function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed("a text is not UTF-8");
  }
}

function valueAt(bytes: Buffer, at: number, wireType: number): readonly [Value, number] {
  if (wireType === 0) return varint(bytes, at);
  if (wireType === 1) return fixed(bytes, at, 8);
  if (wireType === 5) return fixed(bytes, at, 4);
  if (wireType !== 2) throw malformed(`wire type ${wireType} is none`);
  const [length, start] = varint(bytes, at);
  const end = typeof length === "number" ? start + length : Number.POSITIVE_INFINITY;
  if (end > bytes.length) throw malformed("a field is longer than its message");
  return [bytes.subarray(start, end), end];
}

function fixed(bytes: Buffer, at: number, width: 4 | 8): readonly [Value, number] {
  if (at + width > bytes.length) throw malformed("it ends within a field");
  return [width === 4 ? bytes.readUInt32LE(at) : bytes.readBigUInt64LE(at), at + width];
}

const VARINT_BYTES_MAX = 10;

function varint(bytes: Buffer, start: number): readonly [number | bigint, number] {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw malformed("it ends within a number");
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [value <= Number.MAX_SAFE_INTEGER ? value : wide(bytes, start, i + 1), start + i + 1];
  }
  throw malformed("a number has more than ten bytes");
}

function wide(bytes: Buffer, start: number, length: number): bigint {
  let value = 0n;
  for (let i = 0; i < length; i++) value |= BigInt((bytes[start + i] as number) & 0x7f) << BigInt(7 * i);
  return BigInt.asUintN(64, value);
}

function malformed(why: string): Error {
  return eventStoreError("EVENTSTORE-INVALID", `the message does not decode: ${why}`);
}
