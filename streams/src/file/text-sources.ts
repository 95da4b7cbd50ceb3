/** Text files as sources: NDJSON and CSV. */
import type { Env, SourceConnector } from "@millrace/engine";
import { type CsvOptions, csvFormat } from "./csv-format.ts";
import { type LineSourceOptions, lineSource } from "./line-source.ts";
import { ndjsonFormat } from "./ndjson-format.ts";

/** One JSON value per line; lines that are not are rejected (`MSG-DECODE`). */
export function ndjsonSource(options: LineSourceOptions, env: Env): SourceConnector {
  return lineSource(options, ndjsonFormat, env);
}

export interface CsvSourceOptions extends LineSourceOptions, CsvOptions {}

/** Records under a header line, as columns; see {@link CsvOptions} for how cells are read. */
export function csvSource(options: CsvSourceOptions, env: Env): SourceConnector {
  return lineSource(options, () => csvFormat(options), env);
}
