/** Room for bytes that many messages share: what was taken stays as it is. */

/** A message that is kept keeps as much from being freed. */
export const SLAB_BYTES = 32 * 1024;
/** Rather than the end of a slab, a message begins a new one. */
const ROOM_BYTES_MIN = 4 * 1024;

export class Slab {
  #bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;

  /** Where the next message begins in {@link bytes}, with some room behind. What was written and not taken is forgotten. */
  begin(): number {
    if (SLAB_BYTES - this.#start < ROOM_BYTES_MIN) {
      this.#bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#start = 0;
    }
    return this.#start;
  }

  /** Another one after each {@link begin}, perhaps. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** What was written up to `end`, until something else is. */
  written(end: number): Uint8Array {
    // Half the time of the buffer's own `subarray`.
    return new Uint8Array(this.#bytes.buffer, this.#start, end - this.#start);
  }

  /** What was written up to `end`, for good. */
  taken(end: number): Uint8Array {
    const bytes = this.written(end);
    this.#start = end;
    return bytes;
  }
}
