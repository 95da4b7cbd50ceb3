/** Files as sources and sinks. Every export is listed by name. */
export { fileError } from "./errors.ts";
export { type FileSinkOptions, fileSink } from "./file-sink.ts";
export { type ParquetSourceOptions, parquetSource } from "./parquet-source.ts";
