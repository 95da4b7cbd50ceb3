/** Sources, feeds and sinks by what a `nats:` address names. */
import type { Env, Feed, NatsAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import type { NatsConnection } from "nats";
import type { EventMode } from "../format/event-message.ts";
import type { Connection } from "../resilience/connection.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { coreFeed } from "./core-feed.ts";
import { coreSink } from "./core-sink.ts";
import { jetStreamSink } from "./jetstream-sink.ts";
import { jetStreamSource } from "./jetstream-source.ts";
import { kvSink } from "./kv-sink.ts";
import { natsConnection } from "./nats-connection.ts";
import { bodyRow, changeRow, envelopeRow } from "./row-decoder.ts";

export interface NatsSourceOptions {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

/** A stream, or the changes of a bucket. */
export function natsSource(address: NatsAddress, env: Env, options: NatsSourceOptions = {}): SourceConnector {
  const { kind, target } = address;
  const { policy, tls, pollMs } = options;
  const choices = { untilNow: address.options.get("until") === "now", ...(pollMs === undefined ? {} : { pollMs }) };
  const connection = connectionOf(address, env, { policy, tls });
  if (kind === "kv") {
    const bucket = { stream: `KV_${target}`, gap: "ignore", decode: changeRow(target) } as const;
    return resilientSource(connection, jetStreamSource({ ...bucket, ...choices }, env));
  }
  const filter = address.options.get("filter");
  const stream = {
    stream: target,
    gap: address.options.get("gap") === "record" ? "record" : "stop",
    decode: address.options.get("envelope") === "true" ? envelopeRow : bodyRow,
    ...(filter === undefined ? {} : { filter }),
  } as const;
  return resilientSource(connection, jetStreamSource({ ...stream, ...choices }, env));
}

/** A core subject. */
export function natsFeed(address: NatsAddress, env: Env, policy?: Partial<ResiliencePolicy>, tls?: Tls): Feed {
  return resilientFeed(
    connectionOf(address, env, { policy, tls }),
    coreFeed(address.target, address.options.get("envelope") === "true"),
    env,
  );
}

export interface NatsSinkOptions {
  /** Names the sink among all that write to the target: graph and node. */
  readonly id: string;
  /** Field of a row that its key in a bucket is in. */
  readonly key?: string;
  /** Rows are events, in this mode. A bucket has no headers. */
  readonly events?: EventMode | undefined;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
}

export function natsSink(
  address: NatsAddress,
  { id, key = "", events, tls }: NatsSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  const { kind, target } = address;
  const connection = connectionOf(address, env, { policy, tls });
  switch (kind) {
    case "core":
      return resilientSink(connection, coreSink(target, events));
    case "jetstream":
      return resilientSink(connection, jetStreamSink({ subject: target, id, events }));
    case "kv":
      return resilientSink(connection, kvSink({ bucket: target, key }));
  }
}

function connectionOf(
  address: NatsAddress,
  env: Env,
  { policy, tls }: Pick<NatsSourceOptions, "policy" | "tls">,
): Connection<NatsConnection> {
  const { endpoints, user, password } = address;
  return natsConnection(
    {
      endpoints,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      tls,
      policy: { ...policyOf(address), ...policy },
    },
    env,
  );
}
