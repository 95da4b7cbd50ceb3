/**
 * Whoever inserts into a table holds a lock on it (ROW EXCLUSIVE or stronger) from before the statement draws its number to the
 * end of its transaction. Transaction ids would not do: a transaction gets its own only after its first number was drawn.
 */
import type { Client } from "pg";

export interface TableWriter {
  readonly id: string;
  readonly prepared: boolean;
}

/** Locks of whoever may write to the table or one of its partitions. A prepared transaction has no process. */
const WRITERS = `
with recursive tables(oid) as (select $1::oid union select i.inhrelid from pg_inherits i join tables t on i.inhparent = t.oid)
select virtualtransaction as id, pid is null as prepared from pg_locks
where locktype = 'relation' and database = (select oid from pg_database where datname = current_database())
  and relation in (select oid from tables) and granted
  and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

/** Those who write now; `undefined`: nobody. */
export async function tableWriters(client: Client, oid: string): Promise<readonly TableWriter[] | undefined> {
  const { rows } = await client.query<TableWriter>(WRITERS, [oid]);
  return rows.length === 0 ? undefined : rows;
}

/** A transaction that is prepared goes on under another name. */
export function writersLeft(
  earlier: readonly TableWriter[],
  now: readonly TableWriter[] | undefined,
): readonly TableWriter[] | undefined {
  const ids = new Set(earlier.map(({ id }) => id));
  return now?.some(({ id, prepared }) => prepared || ids.has(id)) ? earlier : undefined;
}
