/** Reads what {@link ByteWriter} wrote. Whether strings and other runs of bytes were whole, {@link ByteReader.end} says. */

const HIGH_BIT = 0x80;
/** What the eighth byte of an integer counts, the last that there may be. */
const SCALE_MAX = 2 ** 49;

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

export class ByteReader {
  readonly #bytes: Buffer;
  /** Each byte as a character, made once for all ASCII strings. */
  #text: string | undefined;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** @throws RangeError there is none */
  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("bytes are missing");
    return byte;
  }

  /** @throws RangeError it is no integer that was written */
  integer(): number {
    let byte = this.byte();
    if (byte < HIGH_BIT) return byte;
    let value = byte & 0x7f;
    for (let scale = HIGH_BIT; byte >= HIGH_BIT; scale *= HIGH_BIT) {
      if (scale > SCALE_MAX) throw new RangeError("an integer is too long");
      byte = this.byte();
      value += (byte & 0x7f) * scale;
    }
    return value;
  }

  float(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < 8; i++) floatBytes[i] = bytes[at + i] ?? 0;
    this.#at = at + 8;
    return float[0] as number;
  }

  /** Whether the next bytes are these; if so it is behind them. */
  passes(expected: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
    this.#at = at + expected.length;
    return true;
  }

  copied(length: number): Uint8Array {
    const at = this.#at;
    this.#at = at + length;
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  ascii(length: number): string {
    this.#text ??= this.#bytes.toString("latin1");
    const at = this.#at;
    this.#at = at + length;
    return this.#text.slice(at, at + length);
  }

  utf16(length: number): string {
    const at = this.#at;
    this.#at = at + 2 * length;
    return this.#bytes.toString("utf16le", at, at + 2 * length);
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  /** @throws RangeError there are more bytes than were read, or fewer */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("there are more bytes, or fewer");
  }
}
