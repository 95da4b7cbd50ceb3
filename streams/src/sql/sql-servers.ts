/** What connectors to databases share: where the servers are, and what a caller says beside the address. */
import type { Env, SqlAddress } from "@millrace/engine";
import { Connection, type ConnectionDriver } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import type { TableName } from "./table.ts";
import type { TableSourceOptions } from "./table-source.ts";
import type { Tls } from "./tls.ts";

export interface SqlServers {
  /** `host:port`, in order of preference. */
  readonly endpoints: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly database: string;
  readonly tls: Tls;
  readonly policy: Partial<ResiliencePolicy>;
}

interface SqlOptions {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string | undefined;
}

export interface SqlSourceOptions extends SqlOptions {
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

export interface SqlSinkOptions extends SqlOptions {
  /** Names the sink among all that write to the table: graph and node. */
  readonly id: string;
  /** Columns that identify a row. Empty: rows are only added. */
  readonly key: readonly string[];
}

export function serversOf(address: SqlAddress, { policy, ca }: SqlOptions): SqlServers {
  const { endpoints, user, password, database, options } = address;
  const mode = (options.get("tls") ?? "off") as Tls["mode"];
  return {
    endpoints,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    database,
    tls: ca === undefined ? { mode } : { mode, ca },
    policy: { ...policyOf(address), ...policy },
  };
}

/** A resilient connection whose name, for people, tells no secrets. */
export function sqlConnection<C extends object>(
  scheme: string,
  { endpoints, database, policy }: SqlServers,
  driver: ConnectionDriver<C>,
  env: Env,
): Connection<C> {
  return new Connection({ name: `${scheme}://${endpoints.join(",")}/${database}`, endpoints, driver, env, policy });
}

/** How the table of an address is read. */
export function readingOf(
  table: TableName,
  { options }: Pick<SqlAddress, "options">,
  { pollMs }: Pick<SqlSourceOptions, "pollMs">,
): TableSourceOptions {
  const cursor = options.get("cursor") ?? "id";
  const untilNow = options.get("until") === "now";
  return { ...table, cursor, untilNow, ...(pollMs === undefined ? {} : { pollMs }) };
}
