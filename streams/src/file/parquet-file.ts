/** The row groups of a Parquet file, read and decoded in the thread that calls. */
import { ParquetColumns } from "./parquet-columns.ts";
import { type FileOpener, type ReadableFile, systemFile } from "./readable-file.ts";
import type { RowGroup, RowGroups, RowRange } from "./row-group.ts";

export class ParquetFile implements RowGroups {
  readonly #handle: ReadableFile;
  readonly #columns: ParquetColumns;
  readonly #ranges: RowRange[];

  private constructor(handle: ReadableFile, columns: ParquetColumns, fromRow: number) {
    this.#handle = handle;
    this.#columns = columns;
    this.#ranges = columns.ranges.filter((range) => range.rowEnd > fromRow);
  }

  /** Groups from the one that has row number `fromRow`. */
  static async open(path: string, fromRow: number, open: FileOpener = systemFile(path)): Promise<ParquetFile> {
    const handle = await open();
    try {
      const { size: byteLength } = await handle.stat();
      const slice = (start: number, end = byteLength): Promise<ArrayBuffer> => bytesAt(handle, start, end - start);
      return new ParquetFile(handle, await ParquetColumns.open({ byteLength, slice }), fromRow);
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  async next(): Promise<RowGroup | undefined> {
    const range = this.#ranges.shift();
    return range === undefined ? undefined : this.#columns.read(range);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function bytesAt(handle: ReadableFile, position: number, length: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw new RangeError(`the file ends at byte ${position + at}, ${length - at} bytes too early`);
    at += bytesRead;
  }
  return bytes.buffer;
}
