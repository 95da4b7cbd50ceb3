/**
 * An object as a file: bytes are fetched in blocks as they are read, each only if the object is still the one that was listed. Blocks
 * begin at multiples of their size, and the newest are kept, so that readers of several places at once do not fetch them anew.
 */
import { MillraceError } from "@millrace/engine";
import type { ReadableFile } from "../file/readable-file.ts";
import { s3Error } from "./errors.ts";
import { type ListedObject, S3Fault } from "./s3-answer.ts";
import type { S3Client } from "./s3-client.ts";
import { namedFault } from "./s3-connection.ts";

const BLOCK_BYTES = 4 * 1024 * 1024;
const BLOCKS_KEPT = 4;

export class ObjectFile implements ReadableFile {
  /** What went wrong first, before readers of formats made something else of it. */
  fault: unknown;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #object: ListedObject;
  readonly #signal: AbortSignal;
  /** By number, the one that was fetched last at the end. */
  readonly #blocks = new Map<number, Promise<Buffer>>();

  constructor(client: S3Client, bucket: string, object: ListedObject, signal: AbortSignal) {
    this.#client = client;
    this.#bucket = bucket;
    this.#object = object;
    this.#signal = signal;
  }

  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    if (position >= this.#object.size || length === 0) return { bytesRead: 0 };
    const block = await this.#block(Math.floor(position / BLOCK_BYTES));
    const start = position % BLOCK_BYTES;
    const part = block.subarray(start, start + length);
    buffer.set(part, offset);
    return { bytesRead: part.length };
  }

  async stat(): Promise<{ size: number }> {
    return { size: this.#object.size };
  }

  async close(): Promise<void> {
    this.#blocks.clear();
  }

  #block(number: number): Promise<Buffer> {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    const fetched = this.#fetch(number);
    this.#blocks.set(number, fetched);
    fetched.catch(() => this.#blocks.delete(number));
    const oldest = this.#blocks.keys().next().value;
    if (this.#blocks.size > BLOCKS_KEPT && oldest !== undefined) this.#blocks.delete(oldest);
    return fetched;
  }

  async #fetch(number: number): Promise<Buffer> {
    const { key, etag, size } = this.#object;
    const from = number * BLOCK_BYTES;
    try {
      return await this.#client.get(key, etag, from, Math.min(from + BLOCK_BYTES, size), this.#signal);
    } catch (cause) {
      this.fault ??= this.#named(cause);
      throw this.fault;
    }
  }

  #named(cause: unknown): unknown {
    const { key, etag } = this.#object;
    const isGone = cause instanceof S3Fault && cause.status === 404 && cause.code !== "NoSuchBucket";
    if (!isGone && !(cause instanceof S3Fault && cause.status === 412)) return namedFault(cause, this.#bucket, key);
    const what = isGone ? "removed" : "replaced";
    return s3Error("S3-CHANGED", `object ${key} of bucket ${this.#bucket} was ${what} before all of it was read`, {
      place: { file: `s3://${this.#bucket}/${key}` },
      details: { bucket: this.#bucket, key, etag },
      cause,
    });
  }
}

export const isChanged = (error: unknown): boolean => error instanceof MillraceError && error.code === "S3-CHANGED";
