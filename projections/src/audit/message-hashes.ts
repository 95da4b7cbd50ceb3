/** SHA-256 of many short messages: gathered in one buffer, hashed in one call, so that an addon can do it at the processor's speed. */
import { HASH_BYTES, putSha256 } from "./merkle.ts";

/**
 * Writes the SHA-256 of each message into `into`, 32 bytes each. The messages lie one after the other from the start of `bytes`;
 * message `i` ends before `ends[i]`.
 */
export type BatchSha256 = (bytes: Uint8Array, ends: Uint32Array, into: Uint8Array) => void;

/** By Node's own SHA-256, one call for each message. */
export const batchSha256: BatchSha256 = (bytes, ends, into) => {
  const target = Buffer.from(into.buffer, into.byteOffset, into.byteLength);
  let from = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] as number;
    putSha256(bytes.subarray(from, end), target, i * HASH_BYTES);
    from = end;
  }
};

const CAPACITY_BYTES = 64 * 1024;
const CAPACITY_MESSAGES = 256;

/** Messages being gathered. */
export class Messages {
  #bytes: Buffer = Buffer.allocUnsafe(CAPACITY_BYTES);
  #used = 0;
  #ends: Uint32Array = new Uint32Array(CAPACITY_MESSAGES);
  #count = 0;

  /** Adds bytes to the message that {@link end} ends. */
  write(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#bytes.length) this.#grow(this.#used + bytes.length);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  writeByte(byte: number): void {
    if (this.#used === this.#bytes.length) this.#grow(this.#used + 1);
    this.#bytes[this.#used++] = byte;
  }

  end(): void {
    if (this.#count === this.#ends.length) {
      const ends = new Uint32Array(2 * this.#count);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    this.#ends[this.#count++] = this.#used;
  }

  /** Hashes of the messages that were ended, one after the other; then there are none. */
  hashes(sha256: BatchSha256): Buffer {
    const hashes = Buffer.allocUnsafe(this.#count * HASH_BYTES);
    sha256(this.#bytes.subarray(0, this.#used), this.#ends.subarray(0, this.#count), hashes);
    this.#used = 0;
    this.#count = 0;
    // What one large message needed is not kept for the small ones after it.
    if (this.#bytes.length > 16 * CAPACITY_BYTES) this.#bytes = Buffer.allocUnsafe(CAPACITY_BYTES);
    return hashes;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}
