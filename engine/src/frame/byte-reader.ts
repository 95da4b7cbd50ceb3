/** Reads what `byte-writer.ts` wrote. Whether strings and other runs of bytes were whole, {@link ByteReader.end} says. */

const HIGH_BIT = 0x80;
/** What the eighth byte of an integer counts, the last that there may be. */
const SCALE_MAX = 2 ** 49;

const NONE = Buffer.alloc(0);

export class ByteReader {
  #bytes = NONE;
  /** Each byte as a character, made once for all ASCII strings. */
  #text: string | undefined;
  #at = 0;

  /** Forgets what it read before. One that is used again is no garbage of each frame. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#text = undefined;
    this.#at = 0;
  }

  /** @throws RangeError there is none */
  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("bytes are missing");
    return byte;
  }

  /** @throws RangeError it is no integer that was written */
  integer(): number {
    const byte = this.byte();
    return byte < HIGH_BIT ? byte : this.#long(byte);
  }

  #long(first: number): number {
    let byte = first;
    let value = byte & 0x7f;
    for (let scale = HIGH_BIT; byte >= HIGH_BIT; scale *= HIGH_BIT) {
      if (scale > SCALE_MAX) throw new RangeError("an integer is too long");
      byte = this.byte();
      value += (byte & 0x7f) * scale;
    }
    return value;
  }

  /** @throws RangeError there is none */
  float(): number {
    const at = this.#at;
    this.#at = at + 8;
    return this.#bytes.readDoubleLE(at);
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
