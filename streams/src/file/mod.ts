/** Files as sources and sinks. Every export is listed by name. */
export { type ArrowSourceOptions, arrowSource } from "./arrow-source.ts";
export { arrowTable } from "./arrow-table.ts";
export type { CsvOptions, CsvType } from "./csv-format.ts";
export { fileError } from "./errors.ts";
export { type FileSinkOptions, fileSink } from "./file-sink.ts";
export { type FileFormat, type FileSourceOptions, fileFormatOf, fileSource } from "./file-source.ts";
export { type JsonSourceOptions, jsonSource } from "./json-source.ts";
export type { LineSourceOptions } from "./line-source.ts";
export { type ParquetSourceOptions, parquetSource } from "./parquet-source.ts";
export type { FileOpener, ReadableFile } from "./readable-file.ts";
export { stdoutSink } from "./stdout-sink.ts";
export { type CsvSourceOptions, csvSource, ndjsonSource, type TextSourceOptions } from "./text-sources.ts";
