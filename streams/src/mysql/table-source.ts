/** A table of MariaDB as a source. */
import type { Env } from "@millrace/engine";
import type { TableShape } from "../sql/table.ts";
import type { CursorRow, SourceDialect, SourceTable, TableSourceOptions } from "../sql/table-source.ts";
import { mysqlError } from "./errors.ts";
import { rowForm } from "./row-form.ts";
import { identifier, type Session, textOf } from "./session.ts";
import { isMariaDb, mysqlFault, quoted, tableShape } from "./table.ts";
import { type OpenWriters, openWriters, WRITERS_MS, writersLeft } from "./writers.ts";

export const mysqlTables: SourceDialect<Session, OpenWriters> = {
  error: mysqlFault,
  integers: new Set(["tinyint", "smallint", "mediumint", "int", "bigint"]),
  writersMs: WRITERS_MS,
  shape: tableShape,
  table: (session, options, shape, env) => new MysqlTable(session, options, shape, env),
};

class MysqlTable implements SourceTable<OpenWriters> {
  readonly #session: Session;
  readonly #options: TableSourceOptions;
  readonly #shape: TableShape;
  readonly #env: Env;
  readonly #cursor: string;
  readonly #table: string;
  readonly left = writersLeft;

  constructor(session: Session, options: TableSourceOptions, shape: TableShape, env: Env) {
    this.#session = session;
    this.#options = options;
    this.#shape = shape;
    this.#env = env;
    this.#cursor = `t.${identifier(options.cursor)}`;
    this.#table = `${quoted(options)} t`;
  }

  /**
   * A table that counts from its beginning again was made anew or emptied: what is added from now on would lie below what was
   * read, and never be.
   */
  async refuse(after: number): Promise<void> {
    if (!(await isMariaDb(this.#session))) throw mysqlError("MYSQL-SERVER", "the server is no MariaDB");
    const { schema, table } = this.#options;
    const next = await this.#session.query(
      `select auto_increment as next from information_schema.tables t join information_schema.columns c
        using (table_schema, table_name)
        where table_schema = ? and table_name = ? and column_name = ? and extra like '%auto_increment%'`,
      [schema, table, this.#options.cursor],
    );
    const value = textOf(next[0]?.next);
    if (value === undefined || Number(value) > after) return;
    throw mysqlFault("CURSOR", `table ${schema}.${table} was read up to ${after}, and counts on from ${value}`, {
      place: { stream: `${schema}.${table}` },
      details: { table: `${schema}.${table}`, column: this.#options.cursor },
    });
  }

  async hasNegative(): Promise<boolean> {
    return (await this.#session.query(`select 1 from ${this.#table} where ${this.#cursor} < 0 limit 1`)).length > 0;
  }

  async rows(after: number, to: number, rowsMax: number): Promise<readonly CursorRow[]> {
    const found = await this.#session.query(
      `select t.* from ${this.#table} where ${this.#cursor} > ? and ${this.#cursor} <= ? order by ${this.#cursor} limit ?`,
      [after, to, rowsMax],
    );
    const form = rowForm(this.#shape);
    return found.map((row) => ({ pos: textOf(row[this.#options.cursor]) ?? "", row: form(row) }));
  }

  /** The server draws 1 first, so a table that begins there lacks nothing before it. */
  async highest(above: number): Promise<{ readonly value: number; readonly isDense: boolean }> {
    const [row] = await this.#session.query(
      `select max(${this.#cursor}) as value, sum(${this.#cursor} > 0) as n from ${this.#table} where ${this.#cursor} > ?`,
      [above],
    );
    const value = Number(textOf(row?.value) ?? above);
    return { value, isDense: value - Math.max(above, 0) === Number(textOf(row?.n) ?? 0) || value === above };
  }

  now(): Promise<OpenWriters | undefined> {
    return openWriters(this.#session, this.#env);
  }
}
