/** Line numbers for error messages. A reader that begins in the middle does not know them, so they are counted when asked for. */
import type { ReadableFile } from "./readable-file.ts";

const BLOCK_BYTES = 1 << 20;
const LF = 0x0a;

export class LineNumbers {
  readonly #handle: ReadableFile;
  #offset = 0;
  #lines = 0;

  constructor(handle: ReadableFile) {
    this.#handle = handle;
  }

  /** The 1-based number of the line that begins at `offset`. Ask in ascending order: each byte is read once at most. */
  async at(offset: number): Promise<number> {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    while (this.#offset < offset) {
      const { bytesRead } = await this.#handle.read(
        block,
        0,
        Math.min(block.length, offset - this.#offset),
        this.#offset,
      );
      if (bytesRead === 0) break;
      for (let at = block.indexOf(LF); at >= 0 && at < bytesRead; at = block.indexOf(LF, at + 1)) this.#lines++;
      this.#offset += bytesRead;
    }
    return this.#lines + 1;
  }
}
