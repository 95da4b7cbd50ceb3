/** A table of PostgreSQL as a sink. */
import { messageOf, type Point } from "@millrace/engine";
import { type Client, DatabaseError, escapeIdentifier } from "pg";
import { BEFORE_ALL, pointOf, type RowGroup } from "../sql/lane-cursors.ts";
import { CURSORS, type SinkCursors, type SinkDialect, type TableSinkOptions } from "../sql/table-sink.ts";
import { postgresError } from "./errors.ts";
import { postgresFault, quoted, tableShape } from "./table.ts";

export const postgresTarget: SinkDialect<Client> = {
  error: postgresFault,
  shape: tableShape,
  transaction: async (client, statement) => void (await client.query(statement)),
  cursors: (options) => new CursorTable(options),
  write: async (client, options, _shape, group) =>
    void (await client.query(statement(options, group.columns), [JSON.stringify(group.rows)])),
  failure: rowFailure,
};

/**
 * The server turns the JSON into the columns' types. Of several rows with one key in a statement only the last can be
 * written, and it is all that would be left of them.
 */
function statement({ schema, table, key }: TableSinkOptions, columns: RowGroup["columns"]): string {
  const target = quoted({ schema, table });
  const names = columns.map((column) => escapeIdentifier(column));
  const keys = key.map((column) => escapeIdentifier(column));
  const from = `from json_array_elements($1::json) with ordinality as e(v, n) cross join lateral json_populate_record(null::${target}, e.v) as r`;
  const values = names.map((name) => `r.${name}`).join(", ");
  if (keys.length === 0) return `insert into ${target} (${names.join(", ")}) select ${values} ${from} order by e.n`;
  const of = keys.map((name) => `r.${name}`).join(", ");
  const others = names.filter((name) => !keys.includes(name)).map((name) => `${name} = excluded.${name}`);
  const action = others.length === 0 ? "nothing" : `update set ${others.join(", ")}`;
  return `insert into ${target} (${names.join(", ")}) select distinct on (${of}) ${values} ${from} order by ${of}, e.n desc on conflict (${keys.join(", ")}) do ${action}`;
}

/** SQLSTATEs of values, of constraints, of what a trigger raises, of a view's condition, of what the server computes, of an index's limits. */
const OF_ROWS = /^(?:2[23]...|P0...|44000|428C9|54000)$/;
/** Who checks policies of rows; a lacking privilege has the same SQLSTATE. */
const POLICIES = "ExecWithCheckOptions";

/** They fail the same way whenever they are tried. */
function rowFailure(cause: unknown, table: string): unknown {
  if (!(cause instanceof DatabaseError)) return cause;
  const details = { table, sqlstate: cause.code };
  if (OF_ROWS.test(cause.code ?? "") || (cause.code === "42501" && cause.routine === POLICIES))
    return postgresError("POSTGRES-ROW", `a row does not fit table ${table}: ${messageOf(cause)}`, { cause, details });
  if (cause.code !== "42P10") return cause;
  return postgresError("POSTGRES-KEY", `table ${table} has no unique index over the sink's key`, { cause, details });
}

/** The sink's rows of the table of cursors. */
class CursorTable implements SinkCursors<Client> {
  readonly #table: string;
  readonly #create: string;
  readonly #sink: string;
  readonly #target: string;

  constructor({ schema, table, id }: TableSinkOptions) {
    this.#table = quoted({ schema, table: CURSORS });
    this.#sink = id;
    this.#target = table;
    this.#create = `create table if not exists ${this.#table} (sink text not null, target text not null, lane text not null,
      pos bigint not null, ord bigint not null, primary key (sink, target, lane))`;
  }

  /** Two sinks that create it at once are one too many for the server, and it is there. */
  async create(client: Client): Promise<void> {
    const { rows } = await client.query("select to_regclass($1) is not null as there", [this.#table]);
    if ((rows as [{ there: boolean }])[0].there) return;
    await client.query(this.#create).catch((cause: unknown) => {
      if (!(cause instanceof DatabaseError && ["23505", "42P07"].includes(cause.code ?? ""))) throw cause;
    });
  }

  async read(client: Client): Promise<Map<string, Point>> {
    const statement = `select lane, pos, ord from ${this.#table} where sink = $1 and target = $2`;
    return pointsOf((await client.query<CursorRow>(statement, [this.#sink, this.#target])).rows);
  }

  /** The cursors of these lanes, which nobody else moves before the transaction ends. */
  async lock(client: Client, lanes: readonly string[]): Promise<Map<string, Point>> {
    const values = [this.#sink, this.#target, [...lanes].sort()];
    const { pos, ord } = BEFORE_ALL;
    await client.query(
      `insert into ${this.#table} (sink, target, lane, pos, ord) select $1, $2, lane, ${pos}, ${ord} from unnest($3::text[]) as lane on conflict do nothing`,
      values,
    );
    const locked = await client.query<CursorRow>(
      `select lane, pos, ord from ${this.#table} where sink = $1 and target = $2 and lane = any ($3) order by lane for update`,
      values,
    );
    return pointsOf(locked.rows);
  }

  async move(client: Client, cursors: ReadonlyMap<string, Point>): Promise<void> {
    const points = [...cursors.values()];
    await client.query(
      `update ${this.#table} c set pos = m.pos, ord = m.ord from unnest($3::text[], $4::bigint[], $5::bigint[]) as m(lane, pos, ord)
       where c.sink = $1 and c.target = $2 and c.lane = m.lane`,
      [this.#sink, this.#target, [...cursors.keys()], points.map(({ pos }) => pos), points.map(({ ord }) => ord)],
    );
  }
}

interface CursorRow {
  readonly lane: string;
  readonly pos: string;
  readonly ord: string;
}

function pointsOf(rows: readonly CursorRow[]): Map<string, Point> {
  return new Map(rows.map(({ lane, pos, ord }) => [lane, pointOf(`${pos}/${ord}`)]));
}
