/**
 * Finds lines in a file without decoding them. Memory is bounded by the longest line allowed: a longer one is passed over
 * byte by byte, and only its beginning is kept, to show it.
 */
import type { ReadableFile } from "./readable-file.ts";

const BLOCK_BYTES = 1 << 18;
const LF = 0x0a;
/** A long line is read in blocks that grow with it, up to this. */
const GROWTH_BYTES_MAX = 1 << 22;
/** How much of a line that is too long is kept. */
const PREVIEW_BYTES = 4096;

export class LineScanner {
  /** Holds the current line at `[start, end)`, without its line end; valid until the next `fill`. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  /** Offset in the file of the last byte of the current line, its line end included. */
  last = -1;
  /** The current line is longer than the limit. */
  isTooLong = false;
  readonly #handle: ReadableFile;
  readonly #bytesMax: number;
  /** Offset in the file of `bytes[0]`. */
  #base: number;
  /** First byte of `bytes` that belongs to no line yet. */
  #next = 0;
  /** Up to where `bytes` has been searched for a line end. */
  #searched = 0;
  /** Beginning of a line that is being passed over, or was and is the current one. */
  #preview: Buffer | undefined;
  #isPassing = false;

  constructor(handle: ReadableFile, offset: number, bytesMax: number) {
    this.#handle = handle;
    this.#base = offset;
    this.#bytesMax = bytesMax;
  }

  /** Offset in the file up to which bytes have been read. */
  get readTo(): number {
    return this.#base + this.bytes.length;
  }

  /** Offset in the file of the first byte of the current line. */
  get startOffset(): number {
    return this.#base + this.start;
  }

  /** Index in `bytes` of the first byte that belongs to no line yet; -1 while a line that is too long is passed over. */
  get untaken(): number {
    return this.#isPassing ? -1 : this.#next;
  }

  /** Offset in the file of the byte at an index in `bytes`. */
  offsetOf(index: number): number {
    return this.#base + index;
  }

  /** Takes whole lines up to an index in `bytes`, at which one begins. There is no current line then. */
  passTo(index: number): void {
    this.#next = index;
    this.last = this.#base + index - 1;
  }

  /** The current line, or as much of it as is kept to be shown. */
  get shown(): Buffer {
    const line = this.#preview ?? this.bytes.subarray(this.start, this.end);
    return line.subarray(0, PREVIEW_BYTES);
  }

  /** Moves to the next line that is there as a whole. */
  take(): boolean {
    const at = this.bytes.indexOf(LF, Math.max(this.#next, this.#searched));
    if (at < 0) this.#searched = this.bytes.length;
    else this.#settle(at, at + 1);
    return at >= 0;
  }

  /** Moves to what is left at the end of the file without a line end. */
  takeRest(): boolean {
    if (this.#next === this.bytes.length && !this.#isPassing) return false;
    this.#settle(this.bytes.length, this.bytes.length);
    return true;
  }

  /** Adds the following lines up to one that has `byte` in it to the current one, if they are there as a whole. */
  extendTo(byte: number): boolean {
    const found = this.bytes.indexOf(byte, this.#next);
    const at = found < 0 ? -1 : this.bytes.indexOf(LF, found);
    if (at >= 0) this.#endAt(at, at + 1);
    return at >= 0;
  }

  /** Adds what is left at the end of the file to the current line. */
  extendToRest(): boolean {
    if (this.#next === this.bytes.length) return false;
    this.#endAt(this.bytes.length, this.bytes.length);
    return true;
  }

  /** Cuts the current line back to its first physical line; what follows is taken next. */
  shorten(): void {
    const at = this.bytes.indexOf(LF, this.start);
    if (at >= 0 && at < this.end) this.#endAt(at, at + 1);
  }

  /** Gives the current line back, so that it is taken again after the next `fill`. */
  untake(): void {
    this.#next = this.start;
    this.#searched = 0;
  }

  /** Reads on; false at the (present) end of the file. What was not taken is kept. */
  async fill(): Promise<boolean> {
    const kept = this.#kept();
    const from = this.readTo;
    const block = Buffer.allocUnsafe(Math.max(BLOCK_BYTES, Math.min(kept.length, GROWTH_BYTES_MAX)));
    const { bytesRead } = await this.#handle.read(block, 0, block.length, from);
    const fresh = block.subarray(0, bytesRead);
    this.#searched = Math.max(0, this.#searched - this.#next);
    this.#base = from - kept.length;
    this.#next = 0;
    this.bytes = kept.length === 0 ? fresh : Buffer.concat([kept, fresh]);
    return bytesRead > 0;
  }

  /** What a line that has begun has so far; nothing, once it is too long to be kept. */
  #kept(): Buffer {
    const begun = this.bytes.subarray(this.#next);
    if (!this.#isPassing && begun.length > this.#bytesMax && begun.indexOf(LF) < 0) {
      this.#preview = Buffer.from(begun.subarray(0, PREVIEW_BYTES));
      this.#isPassing = true;
    }
    if (!this.#isPassing) return begun;
    this.#searched = 0;
    return begun.subarray(begun.length);
  }

  #settle(end: number, next: number): void {
    if (!this.#isPassing) this.#preview = undefined;
    this.isTooLong = this.#isPassing || end - this.#next > this.#bytesMax;
    this.#isPassing = false;
    this.start = this.#next;
    this.#endAt(end, next);
  }

  #endAt(end: number, next: number): void {
    this.end = end;
    this.#next = next;
    this.#searched = next;
    this.last = this.#base + next - 1;
  }
}
