/**
 * Strings of short texts that lie in one array. Decoding each by itself costs several times what it costs to decode some kilobytes
 * and cut them; but a cut string keeps alive what it was cut from, so that must not be much.
 */

const CHUNK_BITS = 11;
const CHUNK_CHARACTERS = 1 << CHUNK_BITS;

export class TextChunks {
  readonly #bytes: Buffer;
  readonly #encoding: "latin1" | "utf16le";
  readonly #width: number;
  readonly #chunks: string[] = [];

  /** Texts in Latin-1 or in UTF-16, as the array is; it does not change. */
  constructor(array: Uint8Array | Uint16Array) {
    this.#bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    this.#width = array.BYTES_PER_ELEMENT;
    this.#encoding = this.#width === 1 ? "latin1" : "utf16le";
  }

  /** Characters `[start, end)`, as a string to keep. */
  own(start: number, end: number): string {
    return this.#bytes.toString(this.#encoding, start * this.#width, end * this.#width);
  }

  /** The same at less cost, as part of a larger string. */
  cut(start: number, end: number): string {
    const number = start >> CHUNK_BITS;
    if (number !== (end - 1) >> CHUNK_BITS) return this.own(start, end);
    const from = number * CHUNK_CHARACTERS;
    this.#chunks[number] ??= this.own(from, from + CHUNK_CHARACTERS);
    return this.#chunks[number].slice(start - from, end - from);
  }
}
