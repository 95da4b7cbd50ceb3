/**
 * Reads a Parquet file as columns: text as dictionary codes, dates and timestamps as times (a zone-less timestamp is UTC),
 * 64-bit integers as doubles (exact to 2^53), nested values as JSON. Positions are row numbers from 0, so that reading on
 * skips whole row groups. One row group is held while the next is decoded in a thread of its own.
 */
import type { SourceConnector, SourceReader } from "@millrace/engine";
import { NamedRowGroups } from "./named-row-groups.ts";
import type { FileOpener } from "./readable-file.ts";
import type { RowGroups } from "./row-group.ts";
import { RowGroupReader } from "./row-group-reader.ts";

export interface ParquetSourceOptions {
  readonly path: string;
  /** Where to decode. Default `thread`. */
  readonly decode?: "thread" | "inline";
  /** Opens what is to be read, which is decoded inline; `path` is only its name then. Default: the file. */
  readonly open?: FileOpener | undefined;
}

/** @throws (from `read`) SOURCE-MISSING, SOURCE-FAILED, and SOURCE-DAMAGED for a file that is cut off or no Parquet */
export function parquetSource({ path, decode = "thread", open }: ParquetSourceOptions): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    async open(_, after): Promise<SourceReader> {
      // Only built code can be the entry of a thread.
      const inThread = open === undefined && decode === "thread" && import.meta.url.endsWith(".js");
      // What decodes is much to load, and few graphs need it.
      const groups = async (): Promise<RowGroups> => {
        if (inThread) return new (await import("./parquet-thread.ts")).ParquetThread(path, after + 1);
        return (await import("./parquet-file.ts")).ParquetFile.open(path, after + 1, open);
      };
      return new RowGroupReader(new NamedRowGroups(path, "Parquet", groups), after + 1);
    },
  };
}
