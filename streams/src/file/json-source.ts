/**
 * Reads a file that is one JSON array, element by element. Positions are indices of elements; reading on scans the file from
 * its beginning, because an array has no place to seek to. Use NDJSON for what is large and read often.
 */
import { isUtf8 } from "node:buffer";
import {
  engineError,
  type Json,
  MillraceError,
  messageOf,
  Positions,
  type RejectedInput,
  RowBatch,
  type SourceBatch,
  type SourceConnector,
  type SourceReader,
} from "@millrace/engine";
import { fileError, readError } from "./errors.ts";
import { JsonScanner } from "./json-scanner.ts";
import { type FileOpener, type ReadableFile, systemFile } from "./readable-file.ts";

export interface JsonSourceOptions {
  readonly path: string;
  /** Largest element in bytes; a larger one is rejected (`MSG-SIZE`) without being held. Default 16 MiB. */
  readonly elementBytesMax?: number;
  /** Opens what is to be read; `path` is only its name then. Default: the file. */
  readonly open?: FileOpener | undefined;
}

const ELEMENT_BYTES_MAX = 16 << 20;
const BLOCK_BYTES = 1 << 18;
const PREVIEW_BYTES = 4096;

/** @throws (from `read`) SOURCE-MISSING, SOURCE-FAILED, and SOURCE-DAMAGED for what is no array or has no end */
export function jsonSource(options: JsonSourceOptions): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_, after) => new JsonReader(options, after),
  };
}

class JsonReader implements SourceReader {
  readonly #path: string;
  readonly #open: FileOpener;
  readonly #after: number;
  readonly #bytesMax: number;
  readonly #scanner: JsonScanner;
  #handle: ReadableFile | undefined;
  #block: Buffer = Buffer.alloc(0);
  #next = 0;
  #offset = 0;
  /** Index of the element that is scanned. */
  #index = 0;
  #isAtEnd = false;
  #isClosed = false;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(options: JsonSourceOptions, after: number) {
    const { path, elementBytesMax = ELEMENT_BYTES_MAX, open = systemFile(path) } = options;
    this.#path = path;
    this.#open = open;
    this.#after = after;
    this.#bytesMax = elementBytesMax;
    this.#scanner = new JsonScanner(elementBytesMax);
  }

  read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    if (this.#isClosed) return Promise.resolve("idle");
    const reading = this.#read(messagesMax).catch((cause: unknown) => {
      throw cause instanceof MillraceError ? cause : readError(this.#path, cause, this.#index);
    });
    this.#reading = reading.catch(() => {});
    return reading;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reading;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const rows: Json[] = [];
    const offsets: number[] = [];
    const rejected: RejectedInput[] = [];
    while (rows.length + rejected.length < messagesMax && !this.#isAtEnd && !this.#isClosed) {
      const element = await this.#element();
      if (element === undefined) break;
      const pos = this.#index++;
      if (pos <= this.#after) continue;
      const value = this.#parse(element.bytes, element.isTooLong, pos);
      if (value instanceof MillraceError) {
        rejected.push({ pos, error: value, input: element.bytes.toString("utf8", 0, PREVIEW_BYTES) });
      } else {
        rows.push(value);
        offsets.push(pos);
      }
    }
    if (rows.length + rejected.length === 0) return this.#isClosed ? "idle" : "end";
    return {
      batch: new RowBatch(rows),
      positions: Positions.of(Float64Array.from(offsets)),
      through: this.#index - 1,
      rejected,
    };
  }

  /** The next element's bytes; `undefined` behind the last. */
  async #element(): Promise<{ readonly bytes: Buffer; readonly isTooLong: boolean } | undefined> {
    for (;;) {
      const { result, next } = this.#scanner.scan(this.#block, this.#next);
      this.#next = next;
      if (result === "not-array") throw this.#damaged("it is not a JSON array");
      if (result === "more") {
        if (!(await this.#fill())) throw this.#damaged("the array has no end");
        continue;
      }
      this.#isAtEnd = result === "end";
      const { isTooLong } = this.#scanner;
      const bytes = this.#scanner.take();
      const isEmpty = !isTooLong && bytes.toString("latin1").trim() === "";
      // `[]` has no element; a trailing comma is forgiven.
      if (!isEmpty || !this.#isAtEnd) return { bytes, isTooLong };
      return undefined;
    }
  }

  async #fill(): Promise<boolean> {
    this.#handle ??= await this.#open();
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const { bytesRead } = await this.#handle.read(block, 0, block.length, this.#offset);
    this.#offset += bytesRead;
    this.#block = block.subarray(0, bytesRead);
    this.#next = 0;
    return bytesRead > 0;
  }

  #parse(bytes: Buffer, isTooLong: boolean, pos: number): Json | MillraceError {
    const place = { file: this.#path, position: pos, path: `/${pos}` };
    if (isTooLong) return engineError("MSG-SIZE", `longer than ${this.#bytesMax} bytes`, { place });
    if (!isUtf8(bytes)) return engineError("MSG-DECODE", "not UTF-8", { place });
    try {
      return JSON.parse(bytes.toString("utf8")) as Json;
    } catch (cause) {
      return engineError("MSG-DECODE", `not JSON: ${messageOf(cause)}`, { place });
    }
  }

  #damaged(why: string): MillraceError {
    const place = { file: this.#path, position: this.#index };
    return fileError("SOURCE-DAMAGED", `${this.#path} cannot be read further: ${why}`, { place });
  }
}
