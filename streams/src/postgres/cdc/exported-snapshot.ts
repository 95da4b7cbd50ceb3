/**
 * A snapshot of the database at an exact place of its log: what the server exports when it makes a slot. That slot is a temporary one, so that it is
 * had at any time, again after a crash, too, while the slot of the source keeps all changes.
 */
import { Client, type ClientConfig, escapeIdentifier, escapeLiteral } from "pg";
import { lsnOf } from "./lsn.ts";

export interface ExportedSnapshot {
  /** It holds what committed below, and nothing else. */
  readonly lsn: bigint;
  /** Goes on until the session that exported it says something or ends, and then in the transactions that took it over. */
  readonly name: string;
}

/** A session for replication, which takes no parameters. Its failures are those of what it is asked. */
export async function replicationSession(config: ClientConfig): Promise<Client> {
  // The library's types leave it out.
  const client = new Client({ ...config, ...{ replication: "database" } });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Waits for transactions that are open. @param session one for replication; the slot goes with it */
export async function exportSnapshot(session: Client): Promise<ExportedSnapshot> {
  const { processID } = session as Client & { readonly processID: number };
  const name = escapeIdentifier(`millrace_rows_${processID}`);
  const { rows } = await session.query<{ consistent_point: string; snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
  );
  const [{ consistent_point, snapshot_name }] = rows as [{ consistent_point: string; snapshot_name: string }];
  return { lsn: lsnOf(consistent_point), name: snapshot_name };
}

/** Begins a transaction that sees the snapshot; no limit of the server's on idle sessions or long statements ends it. @returns when */
export async function beginWith(client: Client, snapshot: string): Promise<string> {
  await client.query("begin isolation level repeatable read read only");
  await client.query(`set transaction snapshot ${escapeLiteral(snapshot)}`);
  // Rows that the user may not see are an error, and are not left out without a word.
  await client.query(`set local row_security = off; set local statement_timeout = 0; set local lock_timeout = 0;
    set local idle_in_transaction_session_timeout = 0`);
  const form = `YYYY-MM-DD"T"HH24:MI:SS.US"Z"`;
  const now = `select to_char(now() at time zone 'UTC', ${escapeLiteral(form)}) as now`;
  return (await client.query<{ now: string }>(now)).rows[0]?.now ?? "";
}
