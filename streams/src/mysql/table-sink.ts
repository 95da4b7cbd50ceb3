/** A table of MariaDB or MySQL as a sink. */
import { createHash } from "node:crypto";
import { type JsonObject, messageOf, type Point } from "@millrace/engine";
import { escape as literal } from "mysql2";
import { BEFORE_ALL, pointOf, type RowGroup } from "../sql/lane-cursors.ts";
import type { TableShape } from "../sql/table.ts";
import { CURSORS, type SinkCursors, type SinkDialect, type TableSinkOptions } from "../sql/table-sink.ts";
import { mysqlError } from "./errors.ts";
import { sqlValue } from "./row-form.ts";
import { identifier, isServerError, type Session, textOf } from "./session.ts";
import { mysqlFault, quoted, tableShape, uniqueIndexes } from "./table.ts";

export const mysqlTarget: SinkDialect<Session> = {
  error: mysqlFault,
  shape: tableShape,
  refuse,
  transaction: async (session, statement) => void (await session.query(statement)),
  cursors: (options) => new CursorTable(options),
  write,
  failure: rowFailure,
};

async function refuse(session: Session, options: TableSinkOptions): Promise<void> {
  const name = `${options.schema}.${options.table}`;
  const details = { table: name };
  const [row] = await session.query(
    `select e.transactions as ok, t.engine as engine from information_schema.tables t
      left join information_schema.engines e on e.engine = t.engine where t.table_schema = ? and t.table_name = ?`,
    [options.schema, options.table],
  );
  // A view has none; what lies below it is not known.
  if (textOf(row?.ok) !== "YES")
    throw mysqlError("MYSQL-ENGINE", `table ${name} is kept by ${textOf(row?.engine) ?? "no engine"}`, { details });
  const key = new Set(options.key);
  const isKey = (columns: readonly string[]): boolean =>
    columns.length === key.size && columns.every((column) => key.has(column));
  if (key.size > 0 && !(await uniqueIndexes(session, options)).some(isKey))
    throw mysqlError("MYSQL-KEY", `table ${name} has no unique index over the sink's key`, { details });
}

/** Bytes of a statement, as far as the server surely takes it; a single row may go beyond, up to what the server allows. */
const STATEMENT_BYTES = 1 << 20;

async function write(
  session: Session,
  options: TableSinkOptions,
  { columns }: TableShape,
  group: RowGroup,
): Promise<void> {
  const types = group.columns.map((name) => columns.get(name)?.type ?? "");
  const { head, tail } = statement(options, group.columns);
  let [rows, size] = [[] as string[], 0];
  const flush = async (): Promise<void> => {
    if (rows.length > 0) await session.query(`${head} ${rows.join(",")} ${tail}`);
    [rows, size] = [[], 0];
  };
  for (const row of group.rows) {
    const text = tuple(row, group.columns, types);
    if (size + text.length > STATEMENT_BYTES) await flush();
    rows.push(text);
    size += text.length;
  }
  await flush();
}

const tuple = (row: JsonObject, columns: readonly string[], types: readonly string[]): string =>
  `(${columns.map((name, i) => literal(sqlValue(row[name] ?? null, types[i] ?? ""))).join(",")})`;

/**
 * Any unique index makes the server update instead of insert. Where the row that it found has another key than the new one, it
 * is another row: then the statement fails, by a query that gives two values where one is needed.
 */
function statement({ schema, table, key }: TableSinkOptions, columns: readonly string[]) {
  const names = columns.map(identifier);
  const head = `insert into ${quoted({ schema, table })} (${names.join(",")}) values`;
  const [first] = key;
  if (first === undefined) return { head, tail: "" };
  const isSame = key.map((name) => `${identifier(name)} <=> values(${identifier(name)})`).join(" and ");
  const own = identifier(first);
  const others = names.filter((_, i) => !key.includes(columns[i] ?? "")).map((name) => `${name} = values(${name})`);
  const checked = `${own} = if(${isSame}, ${own}, (select 1 union select 2))`;
  return { head, tail: `on duplicate key update ${[checked, ...others].join(",")}` };
}

/** Beside the classes 22 and 23 of SQLSTATE: cut, no default, wrong value, another row's, checked, signalled, too large, computed by the server. */
const OF_ROWS: ReadonlySet<number> = new Set([1265, 1364, 1366, 1242, 3819, 4025, 1644, 1153, 1118, 1906, 3105]);

/** Values and constraints fail the same way whenever they are tried. */
function rowFailure(cause: unknown, table: string): unknown {
  if (!isServerError(cause)) return cause;
  if (!/^2[23]/.test(cause.sqlState ?? "") && !OF_ROWS.has(cause.errno)) return cause;
  const why = cause.errno === 1242 ? "a unique index that is not the key has it already" : messageOf(cause);
  const details = { table, errno: cause.errno };
  return mysqlError("MYSQL-ROW", `a row does not fit table ${table}: ${why}`, { cause, details });
}

/** Of a name in the table of cursors: an index has no room for more. */
const NAME_CHARS_MAX = 255;

/** A lane's name in the table: a long one, as of a source's file with a long path, is told by what is left of it. */
function nameIn(lane: string): string {
  return lane.length <= NAME_CHARS_MAX ? lane : createHash("sha256").update(lane).digest("hex");
}

/** The sink's rows of the table of cursors. Names are told apart by their bytes. */
class CursorTable implements SinkCursors<Session> {
  readonly #table: string;
  readonly #of: readonly [sink: string, target: string];

  constructor({ schema, table, id }: TableSinkOptions) {
    this.#table = quoted({ schema, table: CURSORS });
    this.#of = [id, table];
  }

  async create(session: Session): Promise<void> {
    await session.query(`create table if not exists ${this.#table} (sink varchar(255) not null, target varchar(64) not null,
      lane varchar(255) not null, pos bigint not null, ord bigint not null, primary key (sink, target, lane))
      engine = InnoDB character set utf8mb4 collate utf8mb4_bin row_format = dynamic`);
  }

  async read(session: Session, lanes: readonly string[]): Promise<Map<string, Point>> {
    return this.#points(session, "", lanes);
  }

  async lock(session: Session, lanes: readonly string[]): Promise<Map<string, Point>> {
    const sorted = [...lanes].sort();
    await this.#put(session, new Map(sorted.map((lane) => [lane, BEFORE_ALL])), "lane = values(lane)");
    return this.#points(session, "order by lane for update", sorted);
  }

  async move(session: Session, cursors: ReadonlyMap<string, Point>): Promise<void> {
    await this.#put(session, cursors, "pos = values(pos), ord = values(ord)");
  }

  async #put(session: Session, cursors: ReadonlyMap<string, Point>, ifThere: string): Promise<void> {
    const rows = [...cursors].map(([lane, { pos, ord }]) => [...this.#of, nameIn(lane), pos, ord]);
    const into = `insert into ${this.#table} (sink, target, lane, pos, ord) values ?`;
    await session.query(`${into} on duplicate key update ${ifThere}`, [rows]);
  }

  async #points(session: Session, locked: string, lanes: readonly string[]): Promise<Map<string, Point>> {
    if (lanes.length === 0) return new Map();
    const select = `select lane, pos, ord from ${this.#table} where sink = ? and target = ? and lane in (?) ${locked}`;
    const rows = await session.query(select, [...this.#of, lanes.map(nameIn)]);
    const byName = new Map(lanes.map((lane) => [nameIn(lane), lane]));
    return new Map(
      rows.map(({ lane, pos, ord }) => [
        byName.get(textOf(lane) ?? "") ?? "",
        pointOf(`${textOf(pos)}/${textOf(ord)}`),
      ]),
    );
  }
}
