/** Sources and sinks by what a `sqlite:` address names. */
import type { Env, SinkConnector, SourceConnector, SqliteAddress } from "@millrace/engine";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { readingOf, type SqlSinkOptions, type SqlSourceOptions } from "../sql/sql-servers.ts";
import type { TableName } from "../sql/table.ts";
import { tableSink } from "../sql/table-sink.ts";
import { tableSource } from "../sql/table-source.ts";
import { Session } from "./session.ts";
import { sqliteTarget } from "./table-sink.ts";
import { sqliteTables } from "./table-source.ts";

/** A table. */
export function sqliteSource(
  address: SqliteAddress,
  env: Env,
  options: Omit<SqlSourceOptions, "ca"> = {},
): SourceConnector {
  const driver = tableSource(readingOf(tableOf(address), address, options), sqliteTables, env);
  return resilientSource(connectionTo(address, true, env, options), driver);
}

/** A table. */
export function sqliteSink(address: SqliteAddress, options: Omit<SqlSinkOptions, "ca">, env: Env): SinkConnector {
  const { id, key } = options;
  const driver = tableSink({ ...tableOf(address), id, key }, sqliteTarget);
  return resilientSink(connectionTo(address, false, env, options), driver);
}

/** A file has one schema of its own. */
const tableOf = ({ target }: SqliteAddress): TableName => ({ schema: "main", table: target });

function connectionTo(
  address: SqliteAddress,
  readOnly: boolean,
  env: Env,
  { policy }: Pick<SqlSourceOptions, "policy">,
): Connection<Session> {
  const { path } = address;
  const driver: ConnectionDriver<Session> = {
    connect: () => Session.open({ path, readOnly, env }),
    probe: (session) => session.check(),
    ended: (session) => session.ended(),
    disconnect: (session) => session.close(),
  };
  const name = `sqlite:${path}`;
  return new Connection({ name, endpoints: [path], driver, env, policy: { ...policyOf(address), ...policy } });
}
