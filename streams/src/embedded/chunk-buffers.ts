/** What a scan reads at once, unless it is told otherwise. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Two buffers that a scan reads into by turns, while its consumer has the other: whoever follows the log reads it without a new
 * mebibyte for each that it has read, whose pages the system would have to find and clear.
 */
export class ChunkBuffers {
  /** What is read at once. */
  readonly chunkBytes: number;
  #now: Buffer | undefined;
  #before: Buffer | undefined;

  constructor(chunkBytes: number = CHUNK_BYTES) {
    this.chunkBytes = chunkBytes;
  }

  /** From now on the other buffer is given. */
  turn(): void {
    [this.#now, this.#before] = [this.#before, this.#now];
  }

  /** `length` bytes of the buffer whose turn it is; what it was given for in this turn before is over. */
  bytes(length: number): Buffer {
    // A block may be longer than what is usually read at once; those for one chunk only need no more than that.
    if (this.#now === undefined || this.#now.length < length) this.#now = Buffer.allocUnsafeSlow(length);
    return this.#now.subarray(0, length);
  }

  /** A read into one of them may still be on its way: neither is given again. */
  forget(): void {
    this.#now = undefined;
    this.#before = undefined;
  }
}
