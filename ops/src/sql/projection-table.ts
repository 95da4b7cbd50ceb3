/** Rows of a projection as a table of the schema `projections`, with one typed column per field that any row has. */
import { DuckDBDataChunk, VARCHAR } from "@duckdb/node-api";
import type { Json, JsonObject } from "@millrace/engine";
import { identifier, literal, type SqlDatabase } from "./sql-database.ts";

type Kind = "BOOLEAN" | "BIGINT" | "DOUBLE" | "VARCHAR" | "JSON";

const ROWS = "rows_of_projection";

/** Loads rows as JSON first: which fields there are, and of which types, is known with the last of them. */
export async function loadProjection(
  database: SqlDatabase,
  name: string,
  pages: AsyncIterable<readonly JsonObject[]>,
): Promise<void> {
  const kinds = new Map<string, Kind | undefined>();
  await database.define(`CREATE TABLE ${ROWS} (row JSON)`);
  const appender = await database.appender(ROWS, "main");
  for await (const rows of pages) {
    if (rows.length === 0) continue;
    for (const row of rows) widen(kinds, row);
    const chunk = DuckDBDataChunk.create([VARCHAR], rows.length);
    chunk.setColumns([rows.map((row) => JSON.stringify(row))]);
    appender.appendDataChunk(chunk);
    appender.flushSync();
  }
  appender.closeSync();
  const columns = namedColumns(kinds);
  // A table without rows has no fields yet, but DuckDB wants a column.
  const list = columns.length === 0 ? "NULL::JSON AS row" : columns.join(", ");
  const from = columns.length === 0 ? `${ROWS} WHERE false` : ROWS;
  await database.define(`CREATE TABLE projections.${identifier(name)} AS SELECT ${list} FROM ${from}`);
  await database.define(`DROP TABLE ${ROWS}`);
}

/** The same rows under a name that needs no quotes. */
export async function aliasProjection(database: SqlDatabase, name: string, alias: string): Promise<void> {
  await database.define(
    `CREATE VIEW projections.${identifier(alias)} AS SELECT * FROM projections.${identifier(name)}`,
  );
}

/** Fields of JSON differ by case and may have no name, columns of SQL do not: the second of such a pair gets a number. */
function namedColumns(kinds: ReadonlyMap<string, Kind | undefined>): string[] {
  const taken = new Set<string>();
  return Array.from(kinds, ([field, kind = "VARCHAR"]) => {
    const own = field === "" ? "unnamed" : field;
    let name = own;
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${own}_${n}`;
    taken.add(name.toLowerCase());
    return `${cellOf(field, kind)} AS ${identifier(name)}`;
  });
}

/** `undefined`: only null so far. */
function widen(kinds: Map<string, Kind | undefined>, row: JsonObject): void {
  for (const [field, value] of Object.entries(row)) {
    const known = kinds.get(field);
    const kind = kindOf(value);
    if (kind === undefined || known === kind) kinds.set(field, known);
    else kinds.set(field, known === undefined ? kind : wider(known, kind));
  }
}

function kindOf(value: Json): Kind | undefined {
  if (value === null) return undefined;
  if (typeof value === "boolean") return "BOOLEAN";
  if (typeof value === "number") return Number.isSafeInteger(value) ? "BIGINT" : "DOUBLE";
  return typeof value === "string" ? "VARCHAR" : "JSON";
}

function wider(a: Kind, b: Kind): Kind {
  const isNumeric = (kind: Kind): boolean => kind === "BIGINT" || kind === "DOUBLE";
  return isNumeric(a) && isNumeric(b) ? "DOUBLE" : "JSON";
}

/** The field by its JSON pointer, which can name any field. */
function cellOf(field: string, kind: Kind): string {
  const pointer = literal(`/${field.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  return kind === "JSON" ? `nullif(row->${pointer}, 'null'::JSON)` : `(row->>${pointer})::${kind}`;
}
