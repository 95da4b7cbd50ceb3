/**
 * Up to which value of a growing column a table is settled: no row will come below it any more. The highest value is not that
 * bound. A transaction draws a number, another draws the next one and commits first; who reads up to the second has passed the
 * first, and never sees it.
 *
 * Whoever inserts holds a lock on the table (ROW EXCLUSIVE or stronger) from before the statement draws its number to the end of
 * its transaction. So the bound is the highest value that was seen at some time, once every transaction that held such a lock
 * after that time has ended; nobody is kept from writing meanwhile. `CREATE INDEX CONCURRENTLY` waits in the same way. Transaction
 * ids would not do: a transaction gets its own only after its first number was drawn.
 */
import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import { quoted, type TableName } from "./table.ts";

/** Locks of whoever may write to the table or one of its partitions. A prepared transaction has no process. */
const WRITERS = `
with recursive tables(oid) as (select $1::oid union select i.inhrelid from pg_inherits i join tables t on i.inhparent = t.oid)
select virtualtransaction as id, pid is null as prepared from pg_locks
where locktype = 'relation' and database = (select oid from pg_database where datname = current_database())
  and relation in (select oid from tables) and granted
  and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

export class SettledBound {
  /** Nothing will come at or below it. */
  value = -1;
  readonly #highest: string;
  readonly #oid: string;
  /** A value that was the highest once, and the transactions that may still come below it. */
  #candidate: { readonly value: number; readonly writers: ReadonlySet<string> } | undefined;

  constructor(name: TableName, oid: string, cursor: string) {
    this.#oid = oid;
    this.#highest = `select max(${escapeIdentifier(cursor)})::text as value from ${quoted(name)}`;
  }

  /** Moves the bound as far as it is known to go. True: it stands at what was the highest value just now. */
  async advance(client: Client): Promise<boolean> {
    const last = this.#candidate;
    if (last !== undefined) {
      const now = await this.#writers(client);
      // A transaction that is prepared goes on under another name.
      if (now.some(({ id, prepared }) => prepared || last.writers.has(id))) return false;
      this.value = Math.max(this.value, last.value);
      this.#candidate = undefined;
    }
    const { rows } = await client.query<{ value: string | null }>(this.#highest);
    const value = Number(rows[0]?.value ?? -1);
    // The writers are asked for after the highest value, by a statement of its own.
    const writers = await this.#writers(client);
    if (writers.length === 0) this.value = Math.max(this.value, value);
    else this.#candidate = { value, writers: new Set(writers.map(({ id }) => id)) };
    return writers.length === 0;
  }

  async #writers(client: Client): Promise<readonly { readonly id: string; readonly prepared: boolean }[]> {
    return (await client.query<{ id: string; prepared: boolean }>(WRITERS, [this.#oid])).rows;
  }
}
