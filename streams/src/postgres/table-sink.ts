/**
 * Writes rows to a table, each under its key, or as they come where there is none. The rows and the sink's cursors are written
 * in one transaction which holds the cursors' locks: whatever is delivered twice, or late by a dead process, is left out.
 */
import { type InputSlice, type Json, messageOf, type Point } from "@millrace/engine";
import { type Client, DatabaseError, escapeIdentifier } from "pg";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import {
  BEFORE_ALL,
  type Cursors,
  freshRows,
  laneBehind,
  pointOf,
  type RowGroup,
  rowGroups,
  textOf,
} from "../sql/lane-cursors.ts";
import { postgresError } from "./errors.ts";
import { whileBusy } from "./postgres-connection.ts";
import { quoted, type TableName, tableShape } from "./table.ts";

export interface TableSinkOptions extends TableName {
  /** Columns that identify a row; a later row replaces what it names of an earlier one. Empty: rows are only added. */
  readonly key: readonly string[];
  /** Names the sink among all that write to the table: graph and node. */
  readonly id: string;
}

const CURSORS = "millrace_cursors";

export function tableSink(options: TableSinkOptions): SinkDriver<Client> {
  const name = `${options.schema}.${options.table}`;
  const cursors = new CursorTable(options);
  let committed: Cursors = {};
  let columns: ReadonlySet<string> = new Set();
  return {
    guarantee: "transaction",
    async open(client, state) {
      committed = (state as Cursors | undefined) ?? {};
      const shape = await tableShape(client, options);
      if (shape === undefined) throw new Error(`there is no table ${name}`);
      columns = new Set(shape.columns.keys());
      await cursors.create(client);
      const held = await cursors.read(client);
      const behind = laneBehind(committed, held);
      if (behind === undefined) return;
      const has = textOf(held.get(behind) ?? BEFORE_ALL);
      const message = `table ${name} has lane ${behind} up to ${has}, but ${committed[behind]} was committed`;
      throw postgresError("POSTGRES-BEHIND", message, { details: { table: name, lane: behind } });
    },
    async deliver(client, slices) {
      const moved = await whileBusy(client, () =>
        inTransaction(client, name, () => write(client, slices, cursors, options, columns)),
      );
      committed = { ...committed, ...moved };
      return committed as Json;
    },
  };
}

async function write(
  client: Client,
  slices: readonly InputSlice[],
  cursors: CursorTable,
  options: TableSinkOptions,
  columns: ReadonlySet<string>,
): Promise<Cursors> {
  const held = await cursors.lock(client, [...new Set(slices.map(({ lane }) => lane))]);
  const rows = freshRows(slices, held);
  const refuse = (reason: string): Error =>
    postgresError("POSTGRES-ROW", `a row for table ${options.schema}.${options.table} ${reason}`);
  for (const group of rowGroups(rows, columns, options.key, refuse))
    await client.query(statement(options, group.columns), [JSON.stringify(group.rows)]);
  if (rows.length > 0) await cursors.move(client, held);
  return Object.fromEntries([...held].map(([lane, point]) => [lane, textOf(point)]));
}

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

async function inTransaction<T>(client: Client, table: string, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (cause) {
    // It fails where the connection is gone, which ends the transaction too.
    await client.query("rollback").catch(() => undefined);
    throw rowFailure(cause, table);
  }
}

/** Values and constraints (classes 22 and 23 of SQLSTATE) fail the same way whenever they are tried. */
function rowFailure(cause: unknown, table: string): unknown {
  if (!(cause instanceof DatabaseError)) return cause;
  const details = { table, sqlstate: cause.code };
  if (/^2[23]/.test(cause.code ?? ""))
    return postgresError("POSTGRES-ROW", `a row does not fit table ${table}: ${messageOf(cause)}`, { cause, details });
  if (cause.code !== "42P10") return cause;
  return postgresError("POSTGRES-KEY", `table ${table} has no unique index over the sink's key`, { cause, details });
}

/** The sink's rows of the table of cursors, which lies in the schema of the sink's table and is shared by all sinks there. */
class CursorTable {
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
