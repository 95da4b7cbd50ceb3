/**
 * Reads a Parquet file as columns: text as dictionary codes, dates and timestamps as times (a zone-less timestamp is UTC),
 * 64-bit integers as doubles (exact to 2^53), nested values as JSON. Positions are row numbers from 0, so that reading on
 * skips whole row groups. One row group is held while the next is decoded in a thread of its own.
 */
import { type MillraceError, messageOf, type SourceConnector, type SourceReader } from "@millrace/engine";
import { codeOf, fileError, readError } from "./errors.ts";
import { ParquetFile } from "./parquet-file.ts";
import { ParquetThread } from "./parquet-thread.ts";
import type { RowGroups } from "./row-group.ts";
import { RowGroupReader } from "./row-group-reader.ts";

export interface ParquetSourceOptions {
  readonly path: string;
  /** Where to decode. Default `thread`. */
  readonly decode?: "thread" | "inline";
}

/** @throws (from `read`) SOURCE-MISSING, SOURCE-FAILED, and SOURCE-DAMAGED for a file that is cut off or no Parquet */
export function parquetSource({ path, decode = "thread" }: ParquetSourceOptions): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    async open(_, after): Promise<SourceReader> {
      // Only built code can be the entry of a thread.
      const inThread = decode === "thread" && import.meta.url.endsWith(".js");
      const groups = inThread ? new ParquetThread(path, after + 1) : new InlineGroups(path, after + 1);
      return new RowGroupReader(new NamedFailures(path, groups), after + 1);
    },
  };
}

/** Opens the file with the first read, as the thread does. */
class InlineGroups implements RowGroups {
  readonly #open: () => Promise<ParquetFile>;
  #file: Promise<ParquetFile> | undefined;

  constructor(path: string, fromRow: number) {
    this.#open = () => ParquetFile.open(path, fromRow);
  }

  async next(): Promise<Awaited<ReturnType<RowGroups["next"]>>> {
    this.#file ??= this.#open();
    return (await this.#file).next();
  }

  async close(): Promise<void> {
    const file = await this.#file?.catch(() => undefined);
    await file?.close();
  }
}

class NamedFailures implements RowGroups {
  readonly #path: string;
  readonly #groups: RowGroups;
  #read = 0;

  constructor(path: string, groups: RowGroups) {
    this.#path = path;
    this.#groups = groups;
  }

  async next(): Promise<Awaited<ReturnType<RowGroups["next"]>>> {
    try {
      const group = await this.#groups.next();
      if (group !== undefined) this.#read = group.first + group.n;
      return group;
    } catch (cause) {
      throw this.#errorOf(cause);
    }
  }

  close(): Promise<void> {
    return this.#groups.close();
  }

  #errorOf(cause: unknown): MillraceError {
    if (codeOf(cause) !== undefined) return readError(this.#path, cause);
    const place = { file: this.#path, position: this.#read };
    return fileError("SOURCE-DAMAGED", `${this.#path} is not a whole Parquet file: ${messageOf(cause)}`, {
      place,
      cause,
    });
  }
}
