/** Sources, feeds and sinks by what a `nats:` address names. */
import type { Env, Feed, NatsAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import type { NatsConnection } from "nats";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import type { Connection } from "../resilience/connection.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import { messageSource } from "../resilience/message-source.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
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
  /** What bodies are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** A stream, or the changes of a bucket. */
export function natsSource(address: NatsAddress, env: Env, options: NatsSourceOptions = {}): SourceConnector {
  const { kind, target } = address;
  const { policy, tls, pollMs, format = jsonDecoder } = options;
  const choices = { untilNow: address.options.get("until") === "now", ...(pollMs === undefined ? {} : { pollMs }) };
  const connection = connectionOf(address, env, { policy, tls });
  if (kind === "kv") {
    const bucket = { stream: `KV_${target}`, gap: "ignore", row: changeRow(target) } as const;
    return messageSource(connection, jetStreamSource({ ...bucket, ...choices }, env), format);
  }
  const filter = address.options.get("filter");
  const stream = {
    stream: target,
    gap: address.options.get("gap") === "record" ? "record" : "stop",
    row: address.options.get("envelope") === "true" ? envelopeRow : bodyRow,
    ...(filter === undefined ? {} : { filter }),
  } as const;
  return messageSource(connection, jetStreamSource({ ...stream, ...choices }, env), format);
}

/** A core subject. */
export function natsFeed(address: NatsAddress, env: Env, options: Omit<NatsSourceOptions, "pollMs"> = {}): Feed {
  const driver = coreFeed(address.target, address.options.get("envelope") === "true");
  return resilientFeed(connectionOf(address, env, options), driver, env, options.format);
}

export interface NatsSinkOptions {
  /** Names the sink among all that write to the target: graph and node. */
  readonly id: string;
  /** Field of a row that its key in a bucket is in. */
  readonly key?: string;
  /** What bodies are. Default JSON. A bucket has no headers. */
  readonly format?: MessageEncoder | undefined;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
}

export function natsSink(
  address: NatsAddress,
  { id, key = "", format = jsonEncoder, tls }: NatsSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  const { kind, target } = address;
  const connection = connectionOf(address, env, { policy, tls });
  switch (kind) {
    case "core":
      return messageSink(connection, coreSink(target), format);
    case "jetstream":
      return messageSink(connection, jetStreamSink({ subject: target, id }), format);
    case "kv":
      return messageSink(connection, kvSink({ bucket: target, key }), format);
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
