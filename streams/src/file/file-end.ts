/** The last bytes of what a sink has written, by which its file is known again: another one's end in other bytes there. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

/** Several lines of most files. */
const BYTES_MAX = 4096;
const DIGEST_CHARS = 22;

export class FileEnd {
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  static readonly ofNothing: FileEnd = new FileEnd(Buffer.alloc(0));

  /** That of the first `length` bytes of a file; of fewer, if it has not so many. */
  static async of(file: FileHandle, length: number): Promise<FileEnd> {
    const bytes = Buffer.alloc(Math.min(length, BYTES_MAX));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, length - bytes.length);
    return new FileEnd(bytes.subarray(0, bytesRead));
  }

  /** Once `bytes` are behind it. */
  with(bytes: Buffer): FileEnd {
    if (bytes.length >= BYTES_MAX) return new FileEnd(Buffer.from(bytes.subarray(-BYTES_MAX)));
    return new FileEnd(Buffer.concat([this.#bytes, bytes]).subarray(-BYTES_MAX));
  }

  get digest(): string {
    return createHash("sha256").update(this.#bytes).digest("base64url").slice(0, DIGEST_CHARS);
  }
}
