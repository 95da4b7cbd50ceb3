/** Sources and sinks by what a `postgres:` address names. */
import type { Env, Feed, SinkConnector, SourceConnector, SqlAddress } from "@millrace/engine";
import { DEFAULT_RESILIENCE } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { readingOf, type SqlSinkOptions, type SqlSourceOptions, serversOf } from "../sql/sql-servers.ts";
import type { TableName } from "../sql/table.ts";
import { tableSink } from "../sql/table-sink.ts";
import { tableSource } from "../sql/table-source.ts";
import { changeFeed } from "./cdc/change-feed.ts";
import { outboxFeed } from "./outbox-feed.ts";
import { postgresConnection } from "./postgres-connection.ts";
import { postgresTarget } from "./table-sink.ts";
import { postgresTables } from "./table-source.ts";

/** A table. */
export function postgresSource(address: SqlAddress, env: Env, options: SqlSourceOptions = {}): SourceConnector {
  const driver = tableSource(readingOf(tableOf(address), address, options), postgresTables, env);
  return resilientSource(postgresConnection(serversOf(address, options), env), driver);
}

export interface PostgresFeedOptions extends SqlSourceOptions {
  /** Most rows of an outbox that are taken and not yet done. Default 1000. */
  readonly takenMax?: number;
}

/** An outbox, or changes. */
export function postgresFeed(address: SqlAddress, env: Env, options: PostgresFeedOptions = {}): Feed {
  return address.kind === "cdc" ? changesOf(address, env, options) : outboxOf(address, env, options);
}

function changesOf(address: SqlAddress, env: Env, options: SqlSourceOptions): Feed {
  const servers = serversOf(address, options);
  const { probeEveryMs, probeTimeoutMs } = { ...DEFAULT_RESILIENCE, ...servers.policy };
  const { target: publication, options: asked } = address;
  const driver = changeFeed(
    {
      publication,
      slot: asked.get("slot") ?? "",
      isTemporary: asked.get("temporary") === "true",
      gap: asked.get("gap") === "record" ? "record" : "stop",
      untilNow: asked.get("until") === "now",
      beginsWithRows: asked.get("snapshot") === "initial",
      probeEveryMs,
      probeTimeoutMs,
    },
    env,
  );
  return resilientFeed(postgresConnection(servers, env), driver, env);
}

function outboxOf(address: SqlAddress, env: Env, options: PostgresFeedOptions): Feed {
  const { pollMs, takenMax } = options;
  const key = address.options.get("key") ?? "id";
  const outbox = { ...tableOf(address), key, mark: address.options.get("mark") };
  const driver = outboxFeed(
    { ...outbox, ...(pollMs === undefined ? {} : { pollMs }), ...(takenMax === undefined ? {} : { takenMax }) },
    env,
  );
  return resilientFeed(postgresConnection(serversOf(address, options), env), driver, env);
}

/** A table. */
export function postgresSink(address: SqlAddress, options: SqlSinkOptions, env: Env): SinkConnector {
  const { id, key } = options;
  const driver = tableSink({ ...tableOf(address), id, key }, postgresTarget);
  return resilientSink(postgresConnection(serversOf(address, options), env), driver);
}

function tableOf({ target, options }: SqlAddress): TableName {
  return { schema: options.get("schema") ?? "public", table: target };
}
