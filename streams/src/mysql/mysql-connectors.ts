/** Sources and sinks by what a `mysql:` address names. */
import type { Env, SinkConnector, SourceConnector, SqlAddress } from "@millrace/engine";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { readingOf, type SqlSinkOptions, type SqlSourceOptions, serversOf } from "../sql/sql-servers.ts";
import type { TableName } from "../sql/table.ts";
import { tableSink } from "../sql/table-sink.ts";
import { tableSource } from "../sql/table-source.ts";
import { mysqlConnection } from "./mysql-connection.ts";
import { mysqlTarget } from "./table-sink.ts";
import { mysqlTables } from "./table-source.ts";

/** A table. */
export function mysqlSource(address: SqlAddress, env: Env, options: SqlSourceOptions = {}): SourceConnector {
  const driver = tableSource(readingOf(tableOf(address), address, options), mysqlTables, env);
  return resilientSource(mysqlConnection(serversOf(address, options), env), driver);
}

/** A table. */
export function mysqlSink(address: SqlAddress, options: SqlSinkOptions, env: Env): SinkConnector {
  const { id, key } = options;
  const driver = tableSink({ ...tableOf(address), id, key }, mysqlTarget);
  return resilientSink(mysqlConnection(serversOf(address, options), env), driver);
}

const tableOf = ({ database, target }: SqlAddress): TableName => ({ schema: database, table: target });
