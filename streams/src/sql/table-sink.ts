/**
 * Writes rows to a table, each under its key, or as they come where there is none. The rows and the sink's cursors are written
 * in one transaction which holds the cursors' locks: whatever is delivered twice, or late by a dead process, is left out.
 */
import type { InputSlice, Json, Point } from "@millrace/engine";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import { whileBusy } from "./busy-sessions.ts";
import { BEFORE_ALL, type Cursors, freshRows, laneBehind, type RowGroup, rowGroups, textOf } from "./lane-cursors.ts";
import { type FaultError, nameOf, type TableName, type TableShape } from "./table.ts";

export interface TableSinkOptions extends TableName {
  /** Columns that identify a row; a later row replaces what it names of an earlier one. Empty: rows are only added. */
  readonly key: readonly string[];
  /** Names the sink among all that write to the table: graph and node. */
  readonly id: string;
}

/** The table of cursors lies beside the sinks' tables, and is shared by all sinks there. */
export const CURSORS = "millrace_cursors";

/** What a database does for a table that is written. */
export interface SinkDialect<C> {
  readonly error: FaultError;
  /** `undefined`: there is no such table. */
  shape(client: C, name: TableName): Promise<TableShape | undefined>;
  /** Refuses a table that cannot be written to. */
  refuse?(client: C, options: TableSinkOptions): Promise<void>;
  /** Statements that begin, commit and roll back a transaction. */
  transaction(client: C, statement: "begin" | "commit" | "rollback"): Promise<void>;
  cursors(options: TableSinkOptions): SinkCursors<C>;
  /** Writes rows in their order, each over what its key has. */
  write(client: C, options: TableSinkOptions, shape: TableShape, group: RowGroup): Promise<void>;
  /** The error of what failed in a transaction, if it will fail the same way whenever it is tried; else as it is. */
  failure(cause: unknown, table: string): unknown;
}

/** The cursors of a sink in its target's database. */
export interface SinkCursors<C> {
  create(client: C): Promise<void>;
  /** Those of these lanes that there are, and of others perhaps. */
  read(client: C, lanes: readonly string[]): Promise<Map<string, Point>>;
  /** Those of these lanes, which nobody else moves before the transaction ends. */
  lock(client: C, lanes: readonly string[]): Promise<Map<string, Point>>;
  move(client: C, cursors: ReadonlyMap<string, Point>): Promise<void>;
}

export function tableSink<C extends object>(options: TableSinkOptions, dialect: SinkDialect<C>): SinkDriver<C> {
  const name = nameOf(options);
  const cursors = dialect.cursors(options);
  let committed: Cursors = {};
  let shape: TableShape | undefined;
  const write = async (client: C, slices: readonly InputSlice[]): Promise<Cursors> => {
    if (shape === undefined) throw new Error(`there is no table ${name}`);
    const held = await cursors.lock(client, [...new Set(slices.map(({ lane }) => lane))]);
    const rows = freshRows(slices, held);
    const refuse = (reason: string): Error => dialect.error("ROW", `a row for table ${name} ${reason}`);
    for (const group of rowGroups(rows, new Set(shape.columns.keys()), options.key, refuse))
      await dialect.write(client, options, shape, group);
    if (rows.length > 0) await cursors.move(client, held);
    return Object.fromEntries([...held].map(([lane, point]) => [lane, textOf(point)]));
  };
  return {
    guarantee: "transaction",
    async open(client, state) {
      committed = (state as Cursors | undefined) ?? {};
      shape = await dialect.shape(client, options);
      if (shape === undefined) throw new Error(`there is no table ${name}`);
      await dialect.refuse?.(client, options);
      await cursors.create(client);
      refuseBehind(committed, await cursors.read(client, Object.keys(committed)), name, dialect.error);
    },
    async deliver(client, slices) {
      const moved = await whileBusy(client, () => inTransaction(client, name, dialect, () => write(client, slices)));
      committed = { ...committed, ...moved };
      return committed as Json;
    },
  };
}

function refuseBehind(committed: Cursors, held: ReadonlyMap<string, Point>, table: string, error: FaultError): void {
  const lane = laneBehind(committed, held);
  if (lane === undefined) return;
  const has = textOf(held.get(lane) ?? BEFORE_ALL);
  const message = `table ${table} has lane ${lane} up to ${has}, but ${committed[lane]} was committed`;
  throw error("BEHIND", message, { details: { table, lane } });
}

async function inTransaction<C, T>(
  client: C,
  table: string,
  { transaction, failure }: SinkDialect<C>,
  work: () => Promise<T>,
): Promise<T> {
  await transaction(client, "begin");
  try {
    const result = await work();
    await transaction(client, "commit");
    return result;
  } catch (cause) {
    // It fails where the connection is gone, which ends the transaction too.
    await transaction(client, "rollback").catch(() => undefined);
    throw failure(cause, table);
  }
}
