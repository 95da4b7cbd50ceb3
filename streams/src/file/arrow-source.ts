/**
 * Reads an Arrow IPC file or stream as columns, one record batch at a time: dictionary and text columns as codes, dates and
 * timestamps as times, 64-bit integers as doubles (exact to 2^53), nested values as JSON. Positions are row numbers from 0;
 * reading on passes over the batches in front.
 */
import type { FileHandle } from "node:fs/promises";
import type { SourceConnector, SourceReader } from "@millrace/engine";
import type { RecordBatch, RecordBatchReader } from "apache-arrow";
import { arrowColumns } from "./arrow-columns.ts";
import { NamedRowGroups } from "./named-row-groups.ts";
import { type FileOpener, type ReadableFile, systemFile } from "./readable-file.ts";
import type { RowGroup, RowGroups } from "./row-group.ts";
import { RowGroupReader } from "./row-group-reader.ts";

export interface ArrowSourceOptions {
  readonly path: string;
  /** Opens what is to be read; `path` is only its name then. Default: the file. */
  readonly open?: FileOpener | undefined;
}

/** @throws (from `read`) SOURCE-MISSING, SOURCE-FAILED, and SOURCE-DAMAGED for a file that is cut off or no Arrow */
export function arrowSource({ path, open = systemFile(path) }: ArrowSourceOptions): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    async open(_, after): Promise<SourceReader> {
      const groups = new NamedRowGroups(path, "Arrow", () => ArrowFile.open(open, after + 1));
      return new RowGroupReader(groups, after + 1);
    },
  };
}

class ArrowFile implements RowGroups {
  readonly #handle: ReadableFile;
  readonly #reader: RecordBatchReader;
  readonly #fromRow: number;
  #next = 0;

  private constructor(handle: ReadableFile, reader: RecordBatchReader, fromRow: number) {
    this.#handle = handle;
    this.#reader = reader;
    this.#fromRow = fromRow;
  }

  static async open(open: FileOpener, fromRow: number): Promise<ArrowFile> {
    // Loading the library takes 50 ms, which only graphs that read Arrow should pay.
    const { RecordBatchReader } = await import("apache-arrow");
    const handle = await open();
    try {
      const reader = await RecordBatchReader.from(asHandle(handle));
      await reader.open();
      if (reader.schema === undefined) throw new Error("it has no schema");
      return new ArrowFile(handle, reader as RecordBatchReader, fromRow);
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  async next(): Promise<RowGroup | undefined> {
    for (;;) {
      const { done, value } = (await this.#reader.next()) as IteratorResult<RecordBatch, undefined>;
      if (done === true || value === undefined) return undefined;
      const first = this.#next;
      this.#next += value.numRows;
      if (this.#next > this.#fromRow) return { first, n: value.numRows, columns: await arrowColumns(value) };
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
    await this.#handle.close().catch(() => {});
  }
}

/**
 * The library knows a file by its descriptor, and never uses it: it reads through these three functions of a `FileHandle`. It takes what
 * comes for all that it asked for.
 */
function asHandle(file: ReadableFile): FileHandle {
  const read = async (buffer: Uint8Array, offset: number, length: number, position: number) => {
    let at = 0;
    while (at < length) {
      const { bytesRead } = await file.read(buffer, offset + at, length - at, position + at);
      // It asks for nothing beyond the size that it was told, and would ask for what is gone for ever.
      if (bytesRead === 0) throw new Error(`it ends at byte ${position + at} by now: it was cut while it was read`);
      at += bytesRead;
    }
    return { bytesRead: at, buffer };
  };
  return { fd: -1, stat: () => file.stat(), read, close: () => file.close() } as unknown as FileHandle;
}
