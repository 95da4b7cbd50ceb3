/** Sources and sinks by what a `mysql:` address names. */
import type { Env, SinkConnector, SourceConnector, SqlAddress } from "@millrace/engine";
import type { Connection } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import type { TableName } from "../sql/table.ts";
import { tableSink } from "../sql/table-sink.ts";
import { tableSource } from "../sql/table-source.ts";
import type { Tls } from "../sql/tls.ts";
import { mysqlConnection } from "./mysql-connection.ts";
import type { Session } from "./session.ts";
import { mysqlTarget } from "./table-sink.ts";
import { mysqlTables } from "./table-source.ts";

interface Common {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string | undefined;
}

export interface MysqlSourceOptions extends Common {
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

export interface MysqlSinkOptions extends Common {
  /** Names the sink among all that write to the table: graph and node. */
  readonly id: string;
  /** Columns that identify a row. Empty: rows are only added. */
  readonly key: readonly string[];
}

/** A table. */
export function mysqlSource(address: SqlAddress, env: Env, options: MysqlSourceOptions = {}): SourceConnector {
  const { pollMs } = options;
  const cursor = address.options.get("cursor") ?? "id";
  const untilNow = address.options.get("until") === "now";
  const table = { ...tableOf(address), cursor, untilNow, ...(pollMs === undefined ? {} : { pollMs }) };
  return resilientSource(connectionOf(address, env, options), tableSource(table, mysqlTables, env));
}

/** A table. */
export function mysqlSink(address: SqlAddress, options: MysqlSinkOptions, env: Env): SinkConnector {
  const { id, key } = options;
  return resilientSink(connectionOf(address, env, options), tableSink({ ...tableOf(address), id, key }, mysqlTarget));
}

const tableOf = ({ database, target }: SqlAddress): TableName => ({ schema: database, table: target });

function connectionOf(address: SqlAddress, env: Env, { policy, ca }: Common): Connection<Session> {
  const { endpoints, user, password, database, options } = address;
  const mode = (options.get("tls") ?? "off") as Tls["mode"];
  return mysqlConnection(
    {
      endpoints,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      database,
      tls: ca === undefined ? { mode } : { mode, ca },
      policy: { ...policyOf(address), ...policy },
    },
    env,
  );
}
