import { once } from "node:events";
import { rmSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { DuckDBResult } from "@duckdb/node-api";
import { type Json, MillraceError, messageOf, reportOf } from "@millrace/engine";
import { opsError } from "../../errors.ts";
import { csvField, jsonCell } from "../../sql/cell-value.ts";
import { LogQuery, type TableRead } from "../../sql/log-query.ts";
import { SqlDatabase } from "../../sql/sql-database.ts";
import { type ApiOptions, withApi } from "../api.ts";
import { reportFailure } from "../failure.ts";
import { endOnInterruption } from "../interruption.ts";
import { counted, writeJson, writeLine, writeTable } from "../output.ts";

export interface SqlOptions extends ApiOptions {
  readonly from?: number;
  readonly to?: number;
  readonly csv?: boolean;
  readonly json?: boolean;
  readonly parquet?: string;
  readonly arrow?: string;
}

export async function sql(query: string, options: SqlOptions): Promise<void> {
  const file = options.parquet ?? options.arrow;
  // Written beside it and renamed, so that a query that fails leaves no half a file.
  const part = file === undefined ? undefined : `${resolve(file)}.part`;
  // Loading a long log takes a while; the temporary database goes with the process.
  endOnInterruption(() => part !== undefined && rmSync(part, { force: true }));
  const database = await SqlDatabase.open(options.parquet === undefined ? undefined : part);
  try {
    await withApi(options, async (api) => {
      const log = new LogQuery(api, database, options);
      const reads = await log.load(query);
      if (file !== undefined && part !== undefined) await intoFile(query, database, reads, options, file, part);
      else if (options.json === true) await asJson(query, database, reads);
      else if (options.csv === true) await asCsv(query, database, reads);
      else await asTable(query, database, reads);
    });
  } finally {
    database.close();
  }
}

/** Rows of an answer, a chunk at a time. */
async function* rowsOf(query: string, database: SqlDatabase, result: DuckDBResult): AsyncGenerator<Json[][]> {
  for await (const chunk of database.chunks(query, result)) yield chunk.convertRows(jsonCell);
}

async function asJson(query: string, database: SqlDatabase, reads: readonly TableRead[]): Promise<void> {
  const result = await database.ask(query);
  const names = result.deduplicatedColumnNames();
  const types = result.columnTypes();
  const columns = names.map((name, i) => ({ name, type: String(types[i]) }));
  const head = `{"tables":${JSON.stringify(reads)},"columns":${JSON.stringify(columns)},"rows":[`;
  let separator = head;
  try {
    for await (const rows of rowsOf(query, database, result)) {
      const objects = rows.map((row) => JSON.stringify(Object.fromEntries(row.map((cell, i) => [names[i], cell]))));
      await write(separator + objects.join(","));
      separator = ",";
    }
  } catch (thrown) {
    if (separator === head) throw thrown;
    // What is written of it stays one JSON object, which says that it is not whole.
    await write(`],"error":${JSON.stringify(reportOf(thrown))}}\n`);
    process.exitCode = reportFailure(thrown, false);
    return;
  }
  await write(separator === head ? `${head}]}\n` : "]}\n");
}

async function asCsv(query: string, database: SqlDatabase, reads: readonly TableRead[]): Promise<void> {
  const result = await database.ask(query);
  await write(`${result.deduplicatedColumnNames().map(csvField).join(",")}\n`);
  for await (const rows of rowsOf(query, database, result))
    await write(rows.map((row) => `${row.map(csvField).join(",")}\n`).join(""));
  process.stderr.write(`${extentOf(reads)}\n`);
}

/** Rows that a terminal is shown; all are written to a file. */
const TABLE_ROWS_MAX = 1000;

async function asTable(query: string, database: SqlDatabase, reads: readonly TableRead[]): Promise<void> {
  const result = await database.ask(query);
  const shown: Json[][] = [];
  let hasMore = false;
  for await (const rows of rowsOf(query, database, result)) {
    const room = TABLE_ROWS_MAX - shown.length;
    shown.push(...rows.slice(0, room));
    hasMore = rows.length > room;
    if (hasMore) break;
  }
  writeTable(
    result.deduplicatedColumnNames(),
    shown.map((row) => row.map((cell) => (typeof cell === "object" && cell !== null ? JSON.stringify(cell) : cell))),
  );
  const rows = counted(shown.length, "row");
  writeLine(`${rows}${hasMore ? "; there are more (--csv, --json, --parquet, --arrow)" : ""}, ${extentOf(reads)}`);
}

async function intoFile(
  query: string,
  database: SqlDatabase,
  reads: readonly TableRead[],
  options: SqlOptions,
  file: string,
  part: string,
): Promise<void> {
  let rows: number;
  try {
    rows =
      options.parquet === undefined
        ? await intoArrow(query, database, part)
        : await database.askIntoParquet(query, part);
    await rename(part, file);
  } catch (cause) {
    await rm(part, { force: true });
    if (cause instanceof MillraceError && !cause.message.startsWith("IO: ")) throw cause;
    throw opsError("CLI-USAGE", `cannot write ${file}: ${messageOf(cause)}`, { cause, place: { file } });
  }
  if (options.json === true) writeJson({ tables: reads, file, rows });
  else writeLine(`${rows} rows in ${file}, ${extentOf(reads)}`);
}

async function intoArrow(query: string, database: SqlDatabase, part: string): Promise<number> {
  const { writeArrowFile } = await import("../../sql/arrow-file.ts");
  const result = await database.ask(query);
  const names = result.deduplicatedColumnNames();
  return writeArrowFile(part, names, result.columnTypes(), database.chunks(query, result));
}

/** How far the log was read, in one line. */
function extentOf(reads: readonly TableRead[]): string {
  if (reads.length === 0) return "no table of the log read";
  const first = reads[0] as TableRead;
  const start = first.from === 0 ? "" : ` from position ${first.from}`;
  if (reads.every(({ asOf, asOfFirst }) => asOf === first.asOf && asOfFirst === undefined))
    return `as of position ${first.asOf}${start}`;
  const each = reads.map(
    ({ table, asOf, asOfFirst }) => `${table} ${asOfFirst === undefined ? "" : `${asOfFirst} to `}${asOf}`,
  );
  return `as of positions: ${each.join(", ")}${start}`;
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}
