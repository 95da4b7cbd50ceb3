/**
 * A table as a source: its rows in the order of a column that only grows, polled. Positions are that column's values. Rows that
 * are changed or deleted after they were read are not read again, and are not as they were when they are read again.
 */
import {
  type Env,
  engineError,
  type Json,
  Positions,
  RowBatch,
  type SourceBatch,
  type SourceReader,
  sleep,
} from "@millrace/engine";
import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import type { SourceDriver } from "../resilience/resilient-source.ts";
import { postgresError } from "./errors.ts";
import { SettledBound } from "./settled-bound.ts";
import { quoted, type TableName, type TableShape, tableShape } from "./table.ts";

export interface TableSourceOptions extends TableName {
  readonly cursor: string;
  /** Ends with the last row there is when it is first opened. */
  readonly untilNow: boolean;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const POLL_MS = 250;
/** Wait for transactions that write meanwhile. */
const WRITERS_MS = 20;
const INTEGERS: ReadonlySet<string> = new Set(["smallint", "integer", "bigint"]);

export function tableSource(options: TableSourceOptions, env: Env): SourceDriver<Client> {
  let end: number | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    async open(client, _partition, after) {
      const shape = await tableShape(client, options);
      const name = `${options.schema}.${options.table}`;
      if (shape === undefined)
        throw engineError("SOURCE-MISSING", `there is no table ${name}`, { place: { stream: name } });
      await refuseCursor(client, options, shape);
      if (options.untilNow) end ??= await highest(client, options);
      return new TableReader(client, options, shape.oid, after, end, env);
    },
  };
}

class TableReader implements SourceReader {
  readonly identity: string;
  readonly #client: Client;
  readonly #options: TableSourceOptions;
  readonly #bound: SettledBound;
  readonly #end: number | undefined;
  readonly #env: Env;
  readonly #stop = new AbortController();
  readonly #select: string;
  #through: number;

  constructor(
    client: Client,
    options: TableSourceOptions,
    oid: string,
    after: number,
    end: number | undefined,
    env: Env,
  ) {
    const cursor = `t.${escapeIdentifier(options.cursor)}`;
    this.identity = oid;
    this.#client = client;
    this.#options = options;
    this.#through = after;
    this.#end = end;
    this.#env = env;
    this.#bound = new SettledBound(options, oid, options.cursor);
    this.#select = `select ${cursor}::text as pos, row_to_json(t) as row from ${quoted(options)} t
      where ${cursor} > $1 and ${cursor} <= $2 order by ${cursor} limit $3`;
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const until = this.#env.clock.monotonic() + (this.#options.pollMs ?? POLL_MS);
    for (;;) {
      const batch = await this.#settled(messagesMax);
      if (batch !== undefined) return batch;
      if (this.#end !== undefined && this.#through >= this.#end) return "end";
      const isCurrent = await this.#bound.advance(this.#client);
      if (this.#bound.value > this.#through) continue;
      const leftMs = until - this.#env.clock.monotonic();
      if (leftMs <= 0) return "idle";
      await sleep(this.#env, isCurrent ? leftMs : Math.min(WRITERS_MS, leftMs), this.#stop.signal);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
  }

  /** The next rows up to where the table is settled; `undefined`: there is none. */
  async #settled(messagesMax: number): Promise<SourceBatch | undefined> {
    const to = Math.min(this.#bound.value, this.#end ?? Number.POSITIVE_INFINITY);
    if (to <= this.#through) return undefined;
    const { rows } = await this.#client.query<Row>(this.#select, [this.#through, to, messagesMax]);
    const positions = Positions.of(Float64Array.from(rows, ({ pos }) => positionOf(pos, this.#options)));
    this.#through = rows.length < messagesMax ? to : positions.pos(rows.length - 1);
    if (rows.length === 0) return undefined;
    return { batch: new RowBatch(rows.map(({ row }) => row)), positions, through: this.#through, rejected: [] };
  }
}

interface Row {
  readonly pos: string;
  readonly row: Json;
}

/** @throws POSTGRES-CURSOR */
async function refuseCursor(client: Client, options: TableSourceOptions, shape: TableShape): Promise<void> {
  const column = shape.columns.get(options.cursor);
  const refuse = (reason: string): Error => cursorError(options, reason);
  if (column === undefined) throw refuse("is no column of it");
  if (!INTEGERS.has(column.type)) throw refuse(`is of type ${column.type}, not an integer`);
  if (column.isNullable || !column.isUnique) throw refuse("may hold nothing, or the same value twice");
  const name = escapeIdentifier(options.cursor);
  const { rowCount } = await client.query(`select from ${quoted(options)} where ${name} < 0 limit 1`);
  if (rowCount !== 0) throw refuse("holds negative values");
}

async function highest(client: Client, options: TableSourceOptions): Promise<number> {
  const name = escapeIdentifier(options.cursor);
  const { rows } = await client.query<{ value: string | null }>(
    `select max(${name})::text as value from ${quoted(options)}`,
  );
  return positionOf(rows[0]?.value ?? "-1", options);
}

function positionOf(text: string, options: TableSourceOptions): number {
  const position = Number(text);
  if (Number.isSafeInteger(position)) return position;
  throw cursorError(options, `holds ${text}, which is above 2^53 - 1`);
}

function cursorError({ schema, table, cursor }: TableSourceOptions, reason: string): Error {
  return postgresError("POSTGRES-CURSOR", `column \`${cursor}\` of table ${schema}.${table} ${reason}`, {
    place: { stream: `${schema}.${table}` },
    details: { table: `${schema}.${table}`, column: cursor },
  });
}
