/**
 * The binary encoding of Avro (specification 1.11, "Data Serialization"), bounded: nothing is read beyond the end, and there are
 * never more items than bytes could hold. `avsc`, which parses the schemas, reads on past the end until an array is complete,
 * so that six bytes could fill the memory, and rounds integers near 2^53.
 */
import { ValueFault } from "./errors.ts";

/** Items that take no bytes, such as nulls, that one message may have. */
const EMPTY_ITEMS_MAX = 65_536;
const DEPTH_MAX = 200;
const utf8 = new TextDecoder("utf-8", { fatal: true });
const text = new TextEncoder();

export class AvroReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #items: number;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#items = bytes.length + EMPTY_ITEMS_MAX;
  }

  /** @throws ValueFault bytes are left */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new ValueFault(`${left} bytes are left over`);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  take(n: number): Uint8Array {
    if (n > this.#bytes.length - this.#at) throw new ValueFault(`it ends early: ${n} bytes were to follow`);
    this.#at += n;
    return this.#bytes.subarray(this.#at - n, this.#at);
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  boolean(): boolean {
    const byte = this.byte();
    if (byte > 1) throw new ValueFault(`${byte} is neither true nor false`);
    return byte === 1;
  }

  /** A zig-zag varint of at most 10 bytes. The first 7 are exact as a number. */
  long(): number | bigint {
    let low = 0;
    for (let n = 0, scale = 1; n < 7; n++, scale *= 128) {
      const byte = this.byte();
      low += (byte & 0x7f) * scale;
      if (byte < 0x80) return low % 2 === 0 ? low / 2 : -(low + 1) / 2;
    }
    let value = BigInt(low);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new ValueFault("a number has more than 64 bits");
  }

  int(): number {
    const value = this.long();
    if (typeof value === "number" && value >= -(2 ** 31) && value < 2 ** 31) return value;
    throw new ValueFault("a number has more than 32 bits");
  }

  float(): number {
    this.take(4);
    return this.#view.getFloat32(this.#at - 4, true);
  }

  double(): number {
    this.take(8);
    return this.#view.getFloat64(this.#at - 8, true);
  }

  bytes(): Uint8Array {
    const length = this.long();
    if (typeof length !== "number" || length < 0) throw new ValueFault(`${length} is no length`);
    return this.take(length);
  }

  string(): string {
    try {
      return utf8.decode(this.bytes());
    } catch (cause) {
      if (cause instanceof ValueFault) throw cause;
      throw new ValueFault("a text is no UTF-8");
    }
  }

  /** Calls `each` once for each item of an array or map. */
  blocks(each: () => void): void {
    for (let count = this.#count(); count > 0; count = this.#count()) {
      this.#items -= count;
      if (this.#items < 0) throw new ValueFault("it has more items than bytes");
      for (let i = 0; i < count; i++) each();
    }
  }

  /** Values within values. @throws ValueFault they are too deep */
  nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new ValueFault(`it is nested more than ${DEPTH_MAX} deep`);
    const value = read();
    this.#depth--;
    return value;
  }

  /** A negative count is followed by the size of the block. */
  #count(): number {
    const count = Number(this.long());
    if (count < 0) this.long();
    return Math.abs(count);
  }
}

export class AvroWriter {
  #bytes: Uint8Array = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  put(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#at - bytes.length);
  }

  byte(byte: number): void {
    this.#grow(1);
    this.#bytes[this.#at - 1] = byte;
  }

  long(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest >= 0x80n; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
    this.byte(Number(rest));
  }

  /** @throws ValueFault it is larger than 32 bits can say */
  float(value: number): void {
    if (Number.isFinite(value) && !Number.isFinite(Math.fround(value)))
      throw new ValueFault(`${value} is too large for 32 bits`);
    this.#grow(4);
    this.#view.setFloat32(this.#at - 4, value, true);
  }

  double(value: number): void {
    this.#grow(8);
    this.#view.setFloat64(this.#at - 8, value, true);
  }

  bytes(bytes: Uint8Array): void {
    this.long(BigInt(bytes.length));
    this.put(bytes);
  }

  string(value: string): void {
    this.bytes(text.encode(value));
  }

  #grow(n: number): void {
    this.#at += n;
    if (this.#at <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#at, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
