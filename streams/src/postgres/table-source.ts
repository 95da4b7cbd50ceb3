/** A table of PostgreSQL as a source. Rows are what `row_to_json` says of them. */
import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import type { CursorRow, SourceDialect, SourceTable, TableSourceOptions } from "../sql/table-source.ts";
import { type PostgresShape, postgresFault, quoted, tableShape } from "./table.ts";
import type { TableWriter } from "./table-writers.ts";
import { tableWriters, writersLeft } from "./table-writers.ts";

export const postgresTables: SourceDialect<Client, readonly TableWriter[]> = {
  error: postgresFault,
  integers: new Set(["smallint", "integer", "bigint"]),
  writersMs: 20,
  shape: tableShape,
  table: (client, options, shape) => new PostgresTable(client, options, (shape as PostgresShape).identity),
};

class PostgresTable implements SourceTable<readonly TableWriter[]> {
  readonly #client: Client;
  readonly #options: TableSourceOptions;
  readonly #oid: string;
  readonly #select: string;
  readonly left = writersLeft;

  constructor(client: Client, options: TableSourceOptions, oid: string) {
    const cursor = `t.${escapeIdentifier(options.cursor)}`;
    this.#client = client;
    this.#options = options;
    this.#oid = oid;
    this.#select = `select ${cursor}::text as pos, row_to_json(t) as row from ${quoted(options)} t
      where ${cursor} > $1 and ${cursor} <= $2 order by ${cursor} limit $3`;
  }

  async hasNegative(): Promise<boolean> {
    const cursor = escapeIdentifier(this.#options.cursor);
    const statement = `select from ${quoted(this.#options)} where ${cursor} < 0 limit 1`;
    return (await this.#client.query(statement)).rowCount !== 0;
  }

  async rows(after: number, to: number, rowsMax: number): Promise<readonly CursorRow[]> {
    return (await this.#client.query<CursorRow>(this.#select, [after, to, rowsMax])).rows;
  }

  async highest(above: number): Promise<{ readonly value: number; readonly isDense: boolean }> {
    const statement = `select max(${escapeIdentifier(this.#options.cursor)})::text as value from ${quoted(this.#options)}`;
    const { rows } = await this.#client.query<{ value: string | null }>(statement);
    const value = Number(rows[0]?.value ?? -1);
    // Whether all numbers in between are there is not asked: the locks tell enough, and at once.
    return { value: Math.max(value, above), isDense: value <= above };
  }

  now(): Promise<readonly TableWriter[] | undefined> {
    return tableWriters(this.#client, this.#oid);
  }
}
