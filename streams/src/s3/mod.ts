/** S3: the objects of a bucket as sources and sinks. Every export is listed by name. */
export { s3Error } from "./errors.ts";
export { type S3SinkOptions, type S3SourceOptions, s3Sink, s3Source } from "./s3-connectors.ts";
