/** Sources, feeds and sinks by what a `redis:` address names. */
import type { Env, Feed, RedisAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import type { Redis } from "ioredis";
import type { Connection } from "../resilience/connection.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { channelFeed, channelSink } from "./channel.ts";
import { redisConnection } from "./redis-connection.ts";
import { streamSink } from "./stream-sink.ts";
import { streamSource } from "./stream-source.ts";

export interface RedisSourceOptions {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const FIELD = "data";

/** A stream. */
export function redisSource(address: RedisAddress, env: Env, options: RedisSourceOptions = {}): SourceConnector {
  const { policy, tls, pollMs } = options;
  const driver = streamSource({
    key: address.target,
    field: address.options.get("field") ?? FIELD,
    gap: address.options.get("gap") === "record" ? "record" : "stop",
    untilNow: address.options.get("until") === "now",
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  return resilientSource(connectionOf(address, env, { policy, tls }), driver);
}

/** A channel. */
export function redisFeed(address: RedisAddress, env: Env, policy?: Partial<ResiliencePolicy>, tls?: Tls): Feed {
  return resilientFeed(connectionOf(address, env, { policy, tls }), channelFeed(address.target), env);
}

/** `id` names the sink among all that write to the target: graph and node. */
export function redisSink(
  address: RedisAddress,
  id: string,
  env: Env,
  { policy, tls }: Pick<RedisSourceOptions, "policy" | "tls"> = {},
): SinkConnector {
  const connection = connectionOf(address, env, { policy, tls });
  if (address.kind === "channel") return resilientSink(connection, channelSink(address.target));
  const field = address.options.get("field") ?? FIELD;
  return resilientSink(connection, streamSink({ key: address.target, field, id }));
}

function connectionOf(
  address: RedisAddress,
  env: Env,
  { policy, tls }: Pick<RedisSourceOptions, "policy" | "tls">,
): Connection<Redis> {
  const { endpoints, user, password, options } = address;
  return redisConnection(
    {
      endpoints,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      tls,
      db: Number(options.get("db") ?? 0),
      policy: { ...policyOf(address), ...policy },
    },
    env,
  );
}
