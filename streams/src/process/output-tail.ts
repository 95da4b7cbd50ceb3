/** The last bytes of a stream that may be endless. */
const KEPT_BYTES = 16 * 1024;

export class OutputTail {
  #kept = Buffer.alloc(0);
  /** Everything that was written, kept or not. */
  bytes = 0;

  write(chunk: Buffer): void {
    this.bytes += chunk.length;
    const all = chunk.length >= KEPT_BYTES ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = Buffer.from(all.subarray(Math.max(0, all.length - KEPT_BYTES)));
  }

  get tail(): string {
    return this.#kept.toString("utf8");
  }
}
