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
import type { SourceDriver } from "../resilience/resilient-source.ts";
import { SettledBound, type Writers } from "./settled-bound.ts";
import { type FaultError, nameOf, type TableName, type TableShape } from "./table.ts";

export interface TableSourceOptions extends TableName {
  readonly cursor: string;
  /** Ends with the last row there is when it is first opened. */
  readonly untilNow: boolean;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

/** What a database does for a table that is read. */
export interface SourceDialect<C, W> {
  readonly error: FaultError;
  /** Types of columns that can be a cursor. */
  readonly integers: ReadonlySet<string>;
  /** Wait for those who write meanwhile, in ms. */
  readonly writersMs: number;
  /** `undefined`: there is no such table. */
  shape(client: C, name: TableName): Promise<TableShape | undefined>;
  table(client: C, options: TableSourceOptions, shape: TableShape, env: Env): SourceTable<W>;
}

/** A table over one connection. */
export interface SourceTable<W> extends Writers<W> {
  /** Refuses a table that cannot be read on from `after`, by what it holds. */
  refuse?(after: number): Promise<void>;
  hasNegative(): Promise<boolean>;
  /** Rows with a cursor above `after`, up to `to`, in its order. */
  rows(after: number, to: number, rowsMax: number): Promise<readonly CursorRow[]>;
}

export interface CursorRow {
  /** The cursor's value as text, as it may be larger than numbers are exact. */
  readonly pos: string;
  readonly row: Json;
}

const POLL_MS = 250;

export function tableSource<C, W>(
  options: TableSourceOptions,
  dialect: SourceDialect<C, W>,
  env: Env,
): SourceDriver<C> {
  let end: number | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    async open(client, _partition, after) {
      const shape = await dialect.shape(client, options);
      const name = nameOf(options);
      if (shape === undefined)
        throw engineError("SOURCE-MISSING", `there is no table ${name}`, { place: { stream: name } });
      const table = dialect.table(client, options, shape, env);
      await refuseCursor(options, dialect, shape, table);
      await table.refuse?.(after);
      if (options.untilNow) end ??= (await table.highest(-1)).value;
      return new TableReader({ table, options, dialect, env, after, end, identity: shape.identity });
    },
  };
}

interface TableReaderOptions<C, W> {
  readonly table: SourceTable<W>;
  readonly options: TableSourceOptions;
  readonly dialect: SourceDialect<C, W>;
  readonly env: Env;
  readonly after: number;
  readonly end: number | undefined;
  readonly identity: string | undefined;
}

class TableReader<C, W> implements SourceReader {
  readonly identity: string | undefined;
  readonly #reads: TableReaderOptions<C, W>;
  readonly #bound: SettledBound<W>;
  readonly #stop = new AbortController();
  #through: number;

  constructor(reads: TableReaderOptions<C, W>) {
    this.identity = reads.identity;
    this.#reads = reads;
    this.#through = reads.after;
    this.#bound = new SettledBound(reads.table, reads.after);
  }

  async read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    const { env, options, dialect, end } = this.#reads;
    const until = env.clock.monotonic() + (options.pollMs ?? POLL_MS);
    for (;;) {
      const batch = await this.#settled(messagesMax);
      if (batch !== undefined) return batch;
      if (end !== undefined && this.#through >= end) return "end";
      const isCurrent = await this.#bound.advance();
      if (this.#bound.value > this.#through) continue;
      const leftMs = until - env.clock.monotonic();
      if (leftMs <= 0) return "idle";
      await sleep(env, isCurrent ? leftMs : Math.min(dialect.writersMs, leftMs), this.#stop.signal);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
  }

  /** The next rows up to where the table is settled; `undefined`: there is none. */
  async #settled(messagesMax: number): Promise<SourceBatch | undefined> {
    const { table, options, dialect, end } = this.#reads;
    const to = Math.min(this.#bound.value, end ?? Number.POSITIVE_INFINITY);
    if (to <= this.#through) return undefined;
    const rows = await table.rows(this.#through, to, messagesMax);
    const exact = rows.map(({ pos }) => exactPosition(pos, options, dialect.error));
    const positions = Positions.of(Float64Array.from(exact));
    this.#through = rows.length < messagesMax ? to : positions.pos(rows.length - 1);
    if (rows.length === 0) return undefined;
    return { batch: new RowBatch(rows.map(({ row }) => row)), positions, through: this.#through, rejected: [] };
  }
}

async function refuseCursor<C, W>(
  options: TableSourceOptions,
  { error, integers }: SourceDialect<C, W>,
  { columns }: TableShape,
  table: SourceTable<W>,
): Promise<void> {
  const column = columns.get(options.cursor);
  const refuse = (reason: string): Error => cursorError(options, reason, error);
  if (column === undefined) throw refuse("is no column of it");
  if (!integers.has(column.type)) throw refuse(`is of type ${column.type}, not an integer`);
  if (column.isNullable || !column.isUnique) throw refuse("may hold nothing, or the same value twice");
  if (await table.hasNegative()) throw refuse("holds negative values");
}

function exactPosition(text: string, options: TableSourceOptions, error: FaultError): number {
  const position = Number(text);
  if (Number.isSafeInteger(position)) return position;
  throw cursorError(options, `holds ${text}, which is above 2^53 - 1`, error);
}

function cursorError(options: TableSourceOptions, reason: string, error: FaultError): Error {
  const table = nameOf(options);
  return error("CURSOR", `column \`${options.cursor}\` of table ${table} ${reason}`, {
    place: { stream: table },
    details: { table, column: options.cursor },
  });
}
