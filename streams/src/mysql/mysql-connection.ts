/** A resilient connection to a MariaDB or MySQL server: one session each, so that what is locked belongs to one transaction. */
import type { Env } from "@millrace/engine";
import type { ConnectionOptions } from "mysql2";
import type { Connection, ConnectionDriver } from "../resilience/connection.ts";
import { hostAndPort } from "../resilience/endpoint.ts";
import { isBusy } from "../sql/busy-sessions.ts";
import { type SqlServers, sqlConnection } from "../sql/sql-servers.ts";
import { tlsOptions } from "../sql/tls.ts";
import { Session } from "./session.ts";

/**
 * Times are in UTC; a value that does not fit is refused, not cut; a backslash in a text escapes, as the library relies on when
 * it puts values into statements.
 */
const SESSION = `set time_zone = '+00:00', autocommit = 1,
  sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`;

export function mysqlConnection(servers: SqlServers, env: Env): Connection<Session> {
  return sqlConnection("mysql", servers, mysqlDriver(servers), env);
}

function mysqlDriver(servers: SqlServers): ConnectionDriver<Session> {
  const options = new WeakMap<Session, ConnectionOptions>();
  return {
    async connect(endpoint) {
      const own = optionsOf(servers, endpoint);
      const session = await Session.open(own);
      options.set(session, own);
      await session.query(SESSION).catch((error: unknown) => {
        session.close();
        throw error;
      });
      return session;
    },
    async probe(session) {
      if (isBusy(session)) await probeBusy(session.id, options.get(session) as ConnectionOptions);
      else await session.ping();
    },
    ended: (session) => session.ended(),
    disconnect: async (session) => session.close(),
  };
}

/** A session that has waited for a while for its client has answered, and the answer did not arrive. */
const WORKING = "select 1 from information_schema.processlist where id = ? and (command <> 'Sleep' or time < 2)";

async function probeBusy(id: number, options: ConnectionOptions): Promise<void> {
  const other = await Session.open(options);
  try {
    const rows = await other.query(WORKING, [id]);
    if (rows.length === 0) throw new Error("the server does not work for the session any more");
  } finally {
    other.close();
  }
}

function optionsOf({ user, password, database, tls }: SqlServers, endpoint: string): ConnectionOptions {
  const { host, port } = hostAndPort(endpoint);
  const encrypted = tlsOptions(tls, host);
  return {
    host,
    port,
    user: user ?? "root",
    password: password ?? "",
    database,
    charset: "utf8mb4",
    // A server could ask for files of this machine.
    flags: ["-LOCAL_FILES"],
    keepAliveInitialDelay: 10_000,
    ...(encrypted === undefined ? {} : { ssl: { ...encrypted, verifyIdentity: tls?.mode === "verify" } }),
  } as ConnectionOptions;
}
