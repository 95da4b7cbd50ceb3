/** Sources and sinks by what a `postgres:` address names. */
import type { Env, Feed, SinkConnector, SourceConnector, SqlAddress } from "@millrace/engine";
import type { Client } from "pg";
import type { Connection } from "../resilience/connection.ts";
import { policyOf } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import type { TableName } from "../sql/table.ts";
import { tableSink } from "../sql/table-sink.ts";
import { tableSource } from "../sql/table-source.ts";
import type { Tls } from "../sql/tls.ts";
import { outboxFeed } from "./outbox-feed.ts";
import { postgresConnection } from "./postgres-connection.ts";
import { postgresTarget } from "./table-sink.ts";
import { postgresTables } from "./table-source.ts";

interface Common {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Certificates to trust instead of the system's, as PEM. */
  readonly ca?: string | undefined;
}

export interface PostgresSourceOptions extends Common {
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

export interface PostgresSinkOptions extends Common {
  /** Names the sink among all that write to the table: graph and node. */
  readonly id: string;
  /** Columns that identify a row. Empty: rows are only added. */
  readonly key: readonly string[];
}

/** A table. */
export function postgresSource(address: SqlAddress, env: Env, options: PostgresSourceOptions = {}): SourceConnector {
  const { pollMs } = options;
  const driver = tableSource(
    {
      ...tableOf(address),
      cursor: address.options.get("cursor") ?? "id",
      untilNow: address.options.get("until") === "now",
      ...(pollMs === undefined ? {} : { pollMs }),
    },
    postgresTables,
    env,
  );
  return resilientSource(connectionOf(address, env, options), driver);
}

/** An outbox. */
export function postgresFeed(address: SqlAddress, env: Env, options: PostgresSourceOptions = {}): Feed {
  const { pollMs } = options;
  const key = address.options.get("key") ?? "id";
  const outbox = { ...tableOf(address), key, mark: address.options.get("mark") };
  const driver = outboxFeed({ ...outbox, ...(pollMs === undefined ? {} : { pollMs }) }, env);
  return resilientFeed(connectionOf(address, env, options), driver, env);
}

/** A table. */
export function postgresSink(address: SqlAddress, options: PostgresSinkOptions, env: Env): SinkConnector {
  const { id, key } = options;
  return resilientSink(
    connectionOf(address, env, options),
    tableSink({ ...tableOf(address), id, key }, postgresTarget),
  );
}

function tableOf({ target, options }: SqlAddress): TableName {
  return { schema: options.get("schema") ?? "public", table: target };
}

function connectionOf(address: SqlAddress, env: Env, { policy, ca }: Common): Connection<Client> {
  const { endpoints, user, password, database, options } = address;
  const mode = (options.get("tls") ?? "off") as Tls["mode"];
  return postgresConnection(
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
