/** A file as a source, by what its name ends in. */
import { extname } from "node:path";
import type { Env, SourceConnector } from "@millrace/engine";
import { arrowSource } from "./arrow-source.ts";
import type { CsvOptions } from "./csv-format.ts";
import { delimiterOf } from "./csv-record.ts";
import { jsonSource } from "./json-source.ts";
import { parquetSource } from "./parquet-source.ts";
import { csvSource, ndjsonSource, type TextSourceOptions } from "./text-sources.ts";

export type FileFormat = "csv" | "ndjson" | "json" | "arrow" | "parquet";

export interface FileSourceOptions extends TextSourceOptions, CsvOptions {
  /** Default: by the file's extension. */
  readonly format?: FileFormat;
}

const FORMATS: Readonly<Record<string, FileFormat>> = {
  ".csv": "csv",
  ".tsv": "csv",
  ".ndjson": "ndjson",
  ".jsonl": "ndjson",
  ".json": "json",
  ".arrow": "arrow",
  ".feather": "arrow",
  ".parquet": "parquet",
};

/** What a file's name says of its format; `undefined` for an extension that says nothing. */
export function fileFormatOf(path: string): FileFormat | undefined {
  return FORMATS[extname(path).toLowerCase()];
}

/** `undefined` when neither the options nor the name say what format the file has. Only `csv` and `ndjson` can be followed. */
export function fileSource(options: FileSourceOptions, env: Env): SourceConnector | undefined {
  const { path, format = fileFormatOf(path), open } = options;
  switch (format) {
    case "csv":
      return csvSource({ delimiter: delimiterOf(path), ...options }, env);
    case "ndjson":
      return ndjsonSource(options, env);
    case "json":
      return jsonSource({
        path,
        open,
        ...(options.lineBytesMax === undefined ? {} : { elementBytesMax: options.lineBytesMax }),
      });
    case "arrow":
      return arrowSource({ path, open });
    case "parquet":
      return parquetSource({ path, open });
    case undefined:
      return undefined;
  }
}
