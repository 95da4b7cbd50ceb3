/**
 * An outbox: a table that an application adds rows to in its own transactions, for somebody to take. A row is deleted, or marked,
 * once it is durable in the log; until then it is found again, and known by its key. What is not there any more was taken, so
 * rows that commit late are taken late, and none is passed over.
 */
import { type Env, engineError, type FeedIntake, type Json, sleep } from "@millrace/engine";
import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { nameOf, type TableName } from "../sql/table.ts";
import { postgresError } from "./errors.ts";
import { quoted, tableShape } from "./table.ts";

export interface OutboxOptions extends TableName {
  /** Column that tells rows apart. */
  readonly key: string;
  /** Column that is set to the time when a row is done, and is null before. Absent: rows are deleted. */
  readonly mark?: string | undefined;
  /** Wait before looking again into an empty outbox, in ms. Default 250. */
  readonly pollMs?: number;
  /** Most rows that are taken and not yet done. Default 1000. */
  readonly takenMax?: number;
}

/** Rows that were taken and are not yet done. A feed's own bound: what it takes is never shed. */
const TAKEN_MAX = 1000;
const POLL_MS = 250;
/** Wait for rows that are about to become durable. */
const DURABLE_MS = 10;
const TIMES: ReadonlySet<string> = new Set(["timestamp with time zone", "timestamp without time zone"]);

export function outboxFeed(options: OutboxOptions, env: Env): FeedDriver<Client> {
  /** Over all connections: what was taken over one that broke is settled all the same. */
  const taken = new Set<string>();
  const settled = new Set<string>();
  return {
    capabilities: { pause: true, nack: true },
    async listen(client, intake) {
      const outbox = await openOutbox(client, options);
      for (;;) {
        if (settled.size > 0) await outbox.finish([...settled], taken, settled);
        const n = taken.size < (options.takenMax ?? TAKEN_MAX) ? await outbox.take(intake, taken, settled) : 0;
        // Who takes nothing would not hear that the connection has ended.
        if (n === 0 && taken.size > 0) await client.query("select 1");
        if (n === 0) await sleep(env, taken.size > 0 ? DURABLE_MS : (options.pollMs ?? POLL_MS));
      }
    },
  };
}

interface Outbox {
  /** Deletes or marks rows that are durable. */
  finish(keys: readonly string[], taken: Set<string>, settled: Set<string>): Promise<void>;
  /** Hands over rows that were not taken yet; how many. */
  take(intake: FeedIntake, taken: Set<string>, settled: Set<string>): Promise<number>;
}

/** @throws SOURCE-MISSING, POSTGRES-CURSOR */
async function openOutbox(client: Client, options: OutboxOptions): Promise<Outbox> {
  const { key, mark } = options;
  const name = nameOf(options);
  const shape = await tableShape(client, options);
  if (shape === undefined)
    throw engineError("SOURCE-MISSING", `there is no table ${name}`, { place: { stream: name } });
  const column = shape.columns.get(key);
  if (column === undefined || column.isNullable || !column.isUnique) throw refuse(name, key, "is no key of it");
  if (mark !== undefined && !TIMES.has(shape.columns.get(mark)?.type ?? ""))
    throw refuse(name, mark, "holds no time, so it cannot be a mark");
  const { take, finish } = statements(options, column.type);
  return {
    async finish(keys, taken, settled) {
      await client.query(finish, [keys]);
      for (const done of keys) {
        taken.delete(done);
        settled.delete(done);
      }
    },
    async take(intake, taken, settled) {
      const { rows } = await client.query<Row>(take, [[...taken], (options.takenMax ?? TAKEN_MAX) - taken.size]);
      for (const { id, row } of rows) {
        taken.add(id);
        intake.take(row, { id: `${shape.identity}/${id}`, settle: () => settled.add(id) });
      }
      return rows.length;
    },
  };
}

interface Row {
  readonly id: string;
  readonly row: Json;
}

/** @param type the key's, as the server writes it */
function statements(options: OutboxOptions, type: string): { readonly take: string; readonly finish: string } {
  const table = quoted(options);
  const key = `t.${escapeIdentifier(options.key)}`;
  const mark = options.mark === undefined ? undefined : escapeIdentifier(options.mark);
  const isOpen = mark === undefined ? "true" : `t.${mark} is null`;
  const done = `${key} = any ($1::text[]::${type}[])`;
  return {
    take: `select ${key}::text as id, row_to_json(t) as row from ${table} t
      where ${isOpen} and ${key} <> all ($1::text[]::${type}[]) order by ${key} limit $2`,
    finish:
      mark === undefined
        ? `delete from ${table} t where ${done}`
        : `update ${table} t set ${mark} = now() where ${isOpen} and ${done}`,
  };
}

function refuse(table: string, column: string, reason: string): Error {
  const details = { table, column };
  return postgresError("POSTGRES-CURSOR", `column \`${column}\` of table ${table} ${reason}`, { details });
}
