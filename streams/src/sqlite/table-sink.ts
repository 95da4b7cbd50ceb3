/** A table of SQLite as a sink. A transaction that may write has the whole database to itself. */
import { messageOf, type Point } from "@millrace/engine";
import { BEFORE_ALL, pointOf, type RowGroup } from "../sql/lane-cursors.ts";
import { CURSORS, type SinkCursors, type SinkDialect, type TableSinkOptions } from "../sql/table-sink.ts";
import { boundRows } from "./row-form.ts";
import type { Session } from "./session.ts";
import { SqliteFailure, type SqliteRow } from "./sqlite-file.ts";
import { identifier, quoted, sqliteFault, storedShape, uniqueKeys } from "./table.ts";

export const sqliteTarget: SinkDialect<Session> = {
  error: sqliteFault,
  shape: storedShape,
  refuse: refuseKey,
  async transaction(session, statement) {
    // What is written to a file that has lost its name is lost with it.
    if (statement === "begin") await session.check();
    await session.query(statement === "begin" ? "begin immediate" : statement);
  },
  cursors: (options) => new CursorTable(options),
  async write(session, options, shape, group) {
    const { placeholders, values } = boundRows(group, shape);
    await session.run(statement(options, group.columns, placeholders), values);
  },
  failure: rowFailure,
};

async function refuseKey(session: Session, options: TableSinkOptions): Promise<void> {
  const { key } = options;
  if (key.length === 0) return;
  const keys = await uniqueKeys(session, options);
  const isThere = keys.some((columns) => columns.length === key.length && key.every((name) => columns.includes(name)));
  if (isThere) return;
  const table = quoted(options);
  throw sqliteFault("KEY", `table ${table} has no unique index over ${key.join(", ")}`, { details: { table } });
}

function statement(
  { schema, table, key }: TableSinkOptions,
  columns: RowGroup["columns"],
  placeholders: readonly string[],
): string {
  const names = columns.map(identifier);
  const insert = `insert into ${quoted({ schema, table })} (${names.join(", ")}) values (${placeholders.join(", ")})`;
  if (key.length === 0) return insert;
  const others = columns.filter((name) => !key.includes(name)).map(identifier);
  const action = others.length === 0 ? "nothing" : `update set ${others.map((c) => `${c} = excluded.${c}`).join(", ")}`;
  return `${insert} on conflict (${key.map(identifier).join(", ")}) do ${action}`;
}

/** Too large, against a constraint, of another type: they fail the same way whenever they are tried. */
const OF_ROWS: ReadonlySet<number> = new Set([18, 19, 20]);

function rowFailure(cause: unknown, table: string): unknown {
  if (!(cause instanceof SqliteFailure)) return cause;
  if (!OF_ROWS.has(cause.errcode)) return cause;
  const details = { table, errcode: cause.errcode };
  return sqliteFault("ROW", `a row does not fit table ${table}: ${messageOf(cause)}`, { cause, details });
}

/** The sink's rows of the table of cursors. */
class CursorTable implements SinkCursors<Session> {
  readonly #table: string;
  readonly #of: readonly [sink: string, target: string];

  constructor({ schema, table, id }: TableSinkOptions) {
    this.#table = quoted({ schema, table: CURSORS });
    this.#of = [id, table];
  }

  async create(session: Session): Promise<void> {
    await session.query(`create table if not exists ${this.#table} (sink text not null, target text not null, lane text not null,
      pos integer not null, ord integer not null, primary key (sink, target, lane)) without rowid`);
  }

  async read(session: Session): Promise<Map<string, Point>> {
    const select = `select lane, pos, ord from ${this.#table} where sink = ? and target = ?`;
    return pointsOf(await session.query(select, ...this.#of));
  }

  async lock(session: Session, lanes: readonly string[]): Promise<Map<string, Point>> {
    const held = await this.read(session);
    return new Map(lanes.map((lane) => [lane, held.get(lane) ?? BEFORE_ALL]));
  }

  async move(session: Session, cursors: ReadonlyMap<string, Point>): Promise<void> {
    const put = `insert into ${this.#table} (sink, target, lane, pos, ord) values (?, ?, ?, ?, ?)
      on conflict (sink, target, lane) do update set pos = excluded.pos, ord = excluded.ord`;
    const values = [...cursors].map(([lane, { pos, ord }]) => [...this.#of, lane, BigInt(pos), BigInt(ord)]);
    await session.run(put, values);
  }
}

function pointsOf(rows: readonly SqliteRow[]): Map<string, Point> {
  return new Map(rows.map(({ lane, pos, ord }) => [String(lane), pointOf(`${String(pos)}/${String(ord)}`)]));
}
