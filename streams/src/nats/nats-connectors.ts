/** Sources, feeds and sinks by what a `nats:` address names. */
import {
  durationMs,
  type Env,
  type Feed,
  type NatsAddress,
  type SinkConnector,
  type SourceConnector,
} from "@millrace/engine";
import type { NatsConnection } from "nats";
import type { EventMode } from "../format/event-message.ts";
import type { Connection } from "../resilience/connection.ts";
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
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

/** A stream, or the changes of a bucket. */
export function natsSource(address: NatsAddress, env: Env, options: NatsSourceOptions = {}): SourceConnector {
  const { kind, target } = address;
  const { policy, pollMs } = options;
  const choices = { untilNow: address.options.get("until") === "now", ...(pollMs === undefined ? {} : { pollMs }) };
  const connection = connectionOf(address, env, policy);
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
export function natsFeed(address: NatsAddress, env: Env, policy?: Partial<ResiliencePolicy>): Feed {
  return resilientFeed(
    connectionOf(address, env, policy),
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
}

export function natsSink(
  address: NatsAddress,
  { id, key = "", events }: NatsSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  const { kind, target } = address;
  const connection = connectionOf(address, env, policy);
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
  { endpoints, user, password, options }: NatsAddress,
  env: Env,
  policy: Partial<ResiliencePolicy> = {},
): Connection<NatsConnection> {
  const probe = options.get("probe");
  const suspend = options.get("suspend");
  return natsConnection(
    {
      endpoints,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      policy: {
        ...(probe === undefined ? {} : { probeEveryMs: durationMs(probe) }),
        ...(suspend === undefined ? {} : { suspendMs: durationMs(suspend) }),
        ...policy,
      },
    },
    env,
  );
}
