/**
 * Finds the elements of a JSON array without parsing them, so that one bad element costs itself only and the whole array is
 * never held. An element ends at the comma or bracket of its own depth; quotes and escapes are honoured.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** `element`: one is complete. `more`: feed on. `end`: the array is closed; an element may end with it. */
export type JsonScan = "element" | "more" | "end" | "not-array";

export class JsonScanner {
  /** Bytes of the current element so far, as they lie in the blocks; cut at the limit. */
  readonly #parts: Buffer[] = [];
  readonly #bytesMax: number;
  #length = 0;
  #depth = 0;
  #inText = false;
  #isEscaped = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isTooLong(): boolean {
    return this.#length > this.#bytesMax;
  }

  /** The element that ended, and begins the next. */
  take(): Buffer {
    const element = Buffer.concat(this.#parts);
    this.#parts.length = 0;
    this.#length = 0;
    return element;
  }

  /** Scans `block` from `from` to the end of an element. `next` is where to go on. */
  scan(block: Buffer, from: number): { readonly result: JsonScan; readonly next: number } {
    for (let at = from; at < block.length; at++) {
      const byte = block[at] as number;
      if (this.#inText) this.#text(byte);
      else if (byte === QUOTE) this.#inText = true;
      else if (byte === OPEN || byte === OPEN_OBJECT) {
        this.#depth++;
        // The bracket of the array itself belongs to no element.
        if (this.#depth === 1) {
          if (byte !== OPEN || !isBlank(block.subarray(from, at))) return { result: "not-array", next: at };
          from = at + 1;
        }
      } else if (this.#depth === 0) {
        if (byte > 0x20) return { result: "not-array", next: at };
      } else if (byte === CLOSE || byte === CLOSE_OBJECT) {
        if (--this.#depth === 0) return this.#end("end", block, from, at);
      } else if (byte === COMMA && this.#depth === 1) return this.#end("element", block, from, at);
    }
    this.#keep(block.subarray(from));
    return { result: "more", next: block.length };
  }

  #text(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#inText = false;
  }

  #end(
    result: JsonScan,
    block: Buffer,
    from: number,
    at: number,
  ): { readonly result: JsonScan; readonly next: number } {
    this.#keep(block.subarray(from, at));
    return { result, next: at + 1 };
  }

  #keep(part: Buffer): void {
    if (!this.isTooLong) this.#parts.push(part.subarray(0, this.#bytesMax + 1 - this.#length));
    this.#length += part.length;
  }
}

/** White space, or a byte order mark. */
function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte <= 0x20 || byte === 0xef || byte === 0xbb || byte === 0xbf);
}
