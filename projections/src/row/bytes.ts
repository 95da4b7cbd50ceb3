/** A buffer that grows while it is written to, reused from row to row. */

/** Below this a loop copies faster than `set`. */
const LOOP_BYTES_MAX = 40;

export class Bytes {
  buffer: Buffer;
  at = 0;
  #view: DataView;

  constructor(size = 4096) {
    // Not from the shared pool: stores may remember where the memory of a value begins.
    this.buffer = Buffer.allocUnsafeSlow(size);
    this.#view = new DataView(this.buffer.buffer);
  }

  reset(): this {
    this.at = 0;
    return this;
  }

  /** What was written since the last reset. Valid until the next write. */
  done(): Uint8Array {
    return this.buffer.subarray(0, this.at);
  }

  byte(value: number): void {
    this.#room(1);
    this.buffer[this.at++] = value;
  }

  uint16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.at, value);
    this.at += 2;
  }

  uint32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.at, value);
    this.at += 4;
  }

  int32(value: number): void {
    this.#room(4);
    this.#view.setInt32(this.at, value);
    this.at += 4;
  }

  float64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.at, value);
    this.at += 8;
  }

  copy(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#room(length);
    if (length > LOOP_BYTES_MAX) this.buffer.set(bytes, this.at);
    else for (let i = 0; i < length; i++) this.buffer[this.at + i] = bytes[i] as number;
    this.at += length;
  }

  /** Returns the number of bytes that the text took. */
  utf8(text: string): number {
    this.#room(text.length * 3);
    const length = this.buffer.write(text, this.at);
    this.at += length;
    return length;
  }

  /** Bytes for later use by {@link copy}. */
  kept(): Uint8Array {
    return new Uint8Array(this.done());
  }

  #room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}
