/**
 * Who may have drawn a number of a table and not yet ended, on a server that shows no locks on tables unless it is told to
 * beforehand. A number is drawn by a statement, which then opens a transaction for writing or has one; so whoever drew it is a
 * statement that runs or, later, a transaction that is open. MariaDB numbers both, over all sessions.
 */
import { type Env, sleep } from "@millrace/engine";
import { mysqlError } from "./errors.ts";
import { isServerError, type Session, textOf } from "./session.ts";

export interface OpenWriters {
  /** Numbers of running statements, by session. */
  readonly statements: ReadonlyMap<string, string>;
  /** Sessions by transactions that are open for writing. A prepared one has session 0. */
  readonly transactions: ReadonlyMap<string, string>;
}

/** The server renews its list of transactions when nobody has read it for 100 ms. */
export const WRITERS_MS = 120;
const TRIES = 10;

/** Threads of the server itself run no statements of anybody. */
const STATEMENTS = `select id, query_id from information_schema.processlist
where id <> connection_id() and command not in ('Sleep', 'Daemon', 'Binlog Dump', 'Slave_IO', 'Slave_SQL', 'Slave_worker')`;

/**
 * Statements are asked for first: one that ran then is known, and one that had ended had opened its transaction before.
 *
 * @throws MYSQL-PRIVILEGE
 */
export async function openWriters(session: Session, env: Env): Promise<OpenWriters | undefined> {
  const statements = await session.query(STATEMENTS);
  const transactions = await openTransactions(session, env);
  if (statements.length === 0 && transactions.size === 0) return undefined;
  return {
    statements: new Map(statements.map(({ id, query_id }) => [textOf(id) ?? "", textOf(query_id) ?? ""])),
    transactions,
  };
}

/** A statement may have opened a transaction meanwhile; whichever its session has open now is waited for. */
export function writersLeft(earlier: OpenWriters, now: OpenWriters | undefined): OpenWriters | undefined {
  if (now === undefined) return undefined;
  const statements = [...earlier.statements].filter(([id, number]) => now.statements.get(id) === number);
  const transactions = [...now.transactions].filter(
    ([number, id]) => earlier.transactions.has(number) || earlier.statements.has(id),
  );
  if (statements.length === 0 && transactions.length === 0) return undefined;
  return { statements: new Map(statements), transactions: new Map(transactions) };
}

let asked = 0;

/**
 * The list is a copy that may be older than the question. The question is asked in a transaction and names itself, so that it
 * finds itself only in a copy that was made for it.
 */
async function openTransactions(session: Session, env: Env): Promise<ReadonlyMap<string, string>> {
  await session.query("start transaction with consistent snapshot");
  try {
    for (let tries = 1; ; tries++) {
      const question = `question ${++asked}`;
      const rows = await session
        .query(
          `select '${question}', trx_id, trx_mysql_thread_id as id, trx_mysql_thread_id = connection_id() and trx_query like ? as own
            from information_schema.innodb_trx`,
          [`%'${question}'%`],
        )
        .catch(refused);
      if (rows.some(({ own }) => textOf(own) === "1"))
        return new Map(
          rows.map(({ trx_id, id }) => [textOf(trx_id) ?? "", textOf(id) ?? ""] as const).filter(([id]) => id !== "0"),
        );
      if (tries === TRIES)
        throw new Error("the server's list of transactions is read by others too often to be renewed");
      await sleep(env, WRITERS_MS);
    }
  } finally {
    await session.query("rollback").catch(() => undefined);
  }
}

const ACCESS_DENIED = new Set([1044, 1045, 1142, 1227]);

function refused(cause: unknown): never {
  if (!isServerError(cause) || !ACCESS_DENIED.has(cause.errno)) throw cause;
  throw mysqlError("MYSQL-PRIVILEGE", `the list of transactions may not be read: ${cause.message}`, { cause });
}
