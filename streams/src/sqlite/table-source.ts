/**
 * A table of SQLite as a source. Only one transaction at a time writes to a database, from before it draws a number to its end, so what
 * is visible is settled: nothing comes below it any more.
 */
import type { TableShape } from "../sql/table.ts";
import type { CursorRow, SourceDialect, SourceTable, TableSourceOptions } from "../sql/table-source.ts";
import { jsonRow, selectList } from "./row-form.ts";
import type { Session } from "./session.ts";
import { identifier, quoted, sqliteFault, tableShape } from "./table.ts";

export const sqliteTables: SourceDialect<Session, never> = {
  error: sqliteFault,
  integers: new Set(["integer"]),
  writersMs: 20,
  shape: tableShape,
  table: (session, options, shape) => new SqliteTable(session, options, shape),
};

class SqliteTable implements SourceTable<never> {
  readonly #session: Session;
  readonly #options: TableSourceOptions;
  readonly #shape: TableShape;
  readonly #cursor: string;
  readonly #table: string;

  constructor(session: Session, options: TableSourceOptions, shape: TableShape) {
    this.#session = session;
    this.#options = options;
    this.#shape = shape;
    this.#cursor = identifier(options.cursor);
    this.#table = quoted(options);
  }

  async refuse(after: number): Promise<void> {
    await this.#session.check();
    await this.#refuseFrom(after);
  }

  async hasNegative(): Promise<boolean> {
    return (await this.#session.query(`select 1 from ${this.#table} where ${this.#cursor} < 0 limit 1`)).length > 0;
  }

  async rows(after: number, to: number, rowsMax: number): Promise<readonly CursorRow[]> {
    const found = await this.#session.query(
      `select cast(${this.#cursor} as text) as pos, ${selectList(this.#shape)} from ${this.#table}
       where ${this.#cursor} > ? and ${this.#cursor} <= ? order by ${this.#cursor} limit ?`,
      ...[after, to, rowsMax].map(BigInt),
    );
    return found.map((row) => ({ pos: String(row.pos), row: jsonRow(row, this.#shape) }));
  }

  async highest(above: number): Promise<{ readonly value: number; readonly isDense: boolean }> {
    // A file that was replaced would be read on for ever, and nothing would come any more.
    await this.#session.check();
    await this.#refuseFrom(above);
    const [row] = await this.#session.query(`select max(${this.#cursor}) as value from ${this.#table}`);
    const value = Number(row?.value ?? above);
    if (Number.isNaN(value)) throw this.#error(`holds ${String(row?.value)}, which is no integer`);
    return { value: Math.max(value, above), isDense: true };
  }

  async now(): Promise<undefined> {
    return undefined;
  }

  left(): undefined {
    return undefined;
  }

  /**
   * The number of a row is one more than the highest there is, or, with `autoincrement`, than the highest there ever was. What counts
   * from below what was read was emptied or made anew, and would be passed over.
   */
  async #refuseFrom(after: number): Promise<void> {
    const { schema, table, cursor } = this.#options;
    const [counter] = await this.#session.query(
      `select s.sql like '%autoincrement%' as counts from ${identifier(schema)}.sqlite_schema s join pragma_table_info(?, ?) c
       where s.type = 'table' and s.name = ? and c.name = ? and c.pk = 1 and lower(c.type) = 'integer'
         and (select count(*) from pragma_table_info(?, ?) where pk > 0) = 1`,
      ...[table, schema, table, cursor, table, schema],
    );
    if (counter === undefined || after < 0) return;
    const next =
      counter.counts === 1n ? `select seq as n from ${identifier(schema)}.sqlite_sequence where name = ?` : undefined;
    const [row] =
      next === undefined
        ? await this.#session.query(`select max(${this.#cursor}) as n from ${this.#table}`)
        : await this.#session.query(next, table);
    const highest = Number(row?.n ?? 0);
    if (highest < after) throw this.#error(`was read up to ${after}, and counts on from ${highest}`);
  }

  #error(reason: string): Error {
    const { schema, table, cursor } = this.#options;
    const name = `${schema}.${table}`;
    return sqliteFault("CURSOR", `column \`${cursor}\` of table ${name} ${reason}`, {
      place: { stream: name },
      details: { table: name, column: cursor },
    });
  }
}
