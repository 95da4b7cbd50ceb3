/**
 * Writes small things as bytes, one after the other, into a buffer that many messages share: what was taken stays as it is. Whoever
 * writes asks for room first.
 */

/** A message that is kept keeps as much from being freed. */
const SLAB_BYTES = 32 * 1024;
/** Rather than the end of a slab, a message begins a new one. */
const ROOM_BYTES_MIN = 4 * 1024;
/** Up to here a loop over characters is faster than a call into native code. */
const SHORT = 24;
const HIGH_BIT = 0x80;
const INT32_MAX = 0x7fff_ffff;

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

export class ByteWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #at = 0;

  /** Forgets what was written and not taken. */
  begin(): void {
    if (SLAB_BYTES - this.#start < ROOM_BYTES_MIN) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#start = 0;
    }
    this.#at = this.#start;
  }

  /** Bytes that still fit. */
  get room(): number {
    return SLAB_BYTES - this.#at;
  }

  /** Bytes since the beginning. */
  get length(): number {
    return this.#at - this.#start;
  }

  byte(value: number): void {
    this.#slab[this.#at++] = value;
  }

  /** Forgets what is behind so many bytes. */
  cut(length: number): void {
    this.#at = this.#start + length;
  }

  /** Changes a byte, counted from the beginning. */
  patch(offset: number, value: number): void {
    this.#slab[this.#start + offset] = value;
  }

  /** An integer in `[0, 2^53)`, seven bits a byte, lowest first: at most eight bytes. */
  integer(value: number): void {
    const slab = this.#slab;
    let at = this.#at;
    let left = value;
    while (left > INT32_MAX) {
      slab[at++] = (left % HIGH_BIT) | HIGH_BIT;
      left = Math.floor(left / HIGH_BIT);
    }
    while (left >= HIGH_BIT) {
      slab[at++] = (left & 0x7f) | HIGH_BIT;
      left >>>= 7;
    }
    slab[at] = left;
    this.#at = at + 1;
  }

  float(value: number): void {
    float[0] = value;
    this.copy(floatBytes);
  }

  /** Few bytes: a loop is faster than `set`. */
  copy(bytes: Uint8Array): void {
    const slab = this.#slab;
    const at = this.#at;
    for (let i = 0; i < bytes.length; i++) slab[at + i] = bytes[i] as number;
    this.#at = at + bytes.length;
  }

  /** The string's characters, a byte each; false, and nothing written, where one is not ASCII. Needs room for three bytes each. */
  ascii(value: string): boolean {
    const slab = this.#slab;
    const at = this.#at;
    if (value.length > SHORT) {
      // As long as its characters: each was one byte.
      if (slab.write(value, at) !== value.length) return false;
    } else {
      for (let i = 0; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code >= HIGH_BIT) return false;
        slab[at + i] = code;
      }
    }
    this.#at = at + value.length;
    return true;
  }

  /** The string's code units, two bytes each. */
  utf16(value: string): void {
    this.#at += this.#slab.write(value, this.#at, "utf16le");
  }

  /** What was written since the beginning, until something else is. */
  written(): Uint8Array {
    return this.#slab.subarray(this.#start, this.#at);
  }

  /** What was written since the beginning, for good. */
  taken(): Uint8Array {
    const bytes = this.written();
    this.#start = this.#at;
    return bytes;
  }
}
