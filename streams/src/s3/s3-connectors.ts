/** Sources and sinks by what an `s3:` address names. */
import {
  durationMs,
  type Env,
  type S3Address,
  type SinkConnector,
  type SourceConnector,
  type TextKernels,
} from "@millrace/engine";
import type { CsvOptions } from "../file/csv-format.ts";
import type { FileFormat } from "../file/file-source.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { objectSink } from "./object-sink.ts";
import { objectSource } from "./object-source.ts";
import { PAGE_OBJECTS } from "./s3-client.ts";
import { type S3Options, s3Connection } from "./s3-connection.ts";

export interface S3SourceOptions extends S3Options {
  /** Reads plain records faster, with the same result. */
  readonly kernels?: TextKernels | undefined;
  /** Of objects of CSV. */
  readonly types?: CsvOptions["types"] | undefined;
  /** Most objects that are listed at once. Default 1000, the most that services list. */
  readonly pageObjects?: number;
}

export interface S3SinkOptions extends S3Options {
  /** Names the sink among all that write to the bucket: graph and node. */
  readonly id: string;
}

const POLL_MS = 30_000;
const FLUSH_MS = 1000;
const OBJECT_BYTES = 8 * 1024 * 1024;

export function s3Source(address: S3Address, env: Env, options: S3SourceOptions = {}): SourceConnector {
  const { bucket, prefix, options: said } = address;
  const [format, poll, delimiter] = [said.get("format"), said.get("poll"), said.get("delimiter")];
  const driver = objectSource(
    {
      bucket,
      prefix,
      ...(format === undefined ? {} : { format: format as FileFormat }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(options.types === undefined ? {} : { types: options.types }),
      untilNow: said.get("until") === "now",
      pollMs: poll === undefined ? POLL_MS : durationMs(poll),
      kernels: options.kernels,
      pageObjects: options.pageObjects ?? PAGE_OBJECTS,
    },
    env,
  );
  return resilientSource(s3Connection(address, env, options), driver);
}

export function s3Sink(address: S3Address, options: S3SinkOptions, env: Env): SinkConnector {
  const { bucket, prefix, options: said } = address;
  const [size, flush, delimiter] = [said.get("size"), said.get("flush"), said.get("delimiter")];
  const driver = objectSink(
    {
      bucket,
      prefix,
      id: options.id,
      format: said.get("format") === "csv" ? "csv" : "ndjson",
      ...(delimiter === undefined ? {} : { delimiter }),
      bytesMax: size === undefined ? OBJECT_BYTES : Number(size),
      flushMs: flush === undefined ? FLUSH_MS : durationMs(flush),
    },
    env,
  );
  return resilientSink(s3Connection(address, env, options), driver);
}
