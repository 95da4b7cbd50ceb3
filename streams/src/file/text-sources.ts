/** Text files as sources: NDJSON and CSV. */
import type { Env, SourceConnector, TextKernels } from "@millrace/engine";
import { type CsvOptions, csvFormat } from "./csv-format.ts";
import { LINE_BYTES_MAX, type LineSourceOptions, lineSource } from "./line-source.ts";
import { ndjsonFormat } from "./ndjson-format.ts";

/** One JSON value per line; lines that are not are rejected (`MSG-DECODE`). */
export function ndjsonSource(options: TextSourceOptions, env: Env): SourceConnector {
  const { kernels, lineBytesMax = LINE_BYTES_MAX } = options;
  return lineSource(options, () => ndjsonFormat(lineBytesMax, kernels), env);
}

export interface TextSourceOptions extends LineSourceOptions {
  /** Reads plain records faster, with the same result. */
  readonly kernels?: TextKernels | undefined;
}

export interface CsvSourceOptions extends TextSourceOptions, CsvOptions {}

/** Records under a header line, as columns; see {@link CsvOptions} for how cells are read. */
export function csvSource(options: CsvSourceOptions, env: Env): SourceConnector {
  const { kernels, lineBytesMax = LINE_BYTES_MAX } = options;
  return lineSource(options, () => csvFormat(options, lineBytesMax, kernels), env);
}
