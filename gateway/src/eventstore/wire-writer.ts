/** Writes messages in the protobuf wire format. A field that is written is there, also with its default: so oneofs say which. */
const INITIAL_BYTES = 256;
const SHORT = 40;

export class WireWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(bytesHint: number = INITIAL_BYTES) {
    this.#bytes = Buffer.allocUnsafe(Math.max(16, bytesHint));
  }

  uint(field: number, value: number | bigint): this {
    this.#tag(field, 0);
    this.#varint(value);
    return this;
  }

  double(field: number, value: number): this {
    this.#tag(field, 1);
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, 5);
    this.#reserve(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.uint(field, value ? 1 : 0);
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#varint(value.length);
    return this.raw(value);
  }

  text(field: number, value: string): this {
    return value.length <= SHORT && this.#ascii(field, value) ? this : this.#utf8(field, value);
  }

  /** Character by character, which short texts are done with before a call into native code is; false where one is not ASCII. */
  #ascii(field: number, value: string): boolean {
    const before = this.#length;
    this.#tag(field, 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) {
        this.#length = before;
        return false;
      }
      this.#bytes[this.#length++] = code;
    }
    return true;
  }

  #utf8(field: number, value: string): this {
    const bytes = Buffer.byteLength(value, "utf8");
    this.#tag(field, 2);
    this.#varint(bytes);
    this.#reserve(bytes);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
    return this;
  }

  /** A nested message; without `fill` an empty one. */
  message(field: number, fill: (writer: WireWriter) => void = () => {}): this {
    this.#tag(field, 2);
    // The length is written before its value is known: room for one byte, moved when it takes more.
    const start = this.#length + 1;
    this.#reserve(1);
    this.#length = start;
    fill(this);
    const size = this.#length - start;
    const extra = varintBytes(size) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#bytes.copyWithin(start + extra, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(size);
    this.#length += size;
    return this;
  }

  /** Fields that are encoded already. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** What was written. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  /** A negative number takes ten bytes, as its two's complement. */
  #varint(value: number | bigint): void {
    this.#reserve(10);
    if (typeof value === "bigint" || value < 0) {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      this.#bytes[this.#length++] = Number(rest);
      return;
    }
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
