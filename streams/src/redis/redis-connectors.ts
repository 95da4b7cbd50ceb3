/** Sources, feeds and sinks by what a `redis:` address names. */
import type { Env, Feed, RedisAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import { channelFeed, channelSink } from "./channel.ts";
import { keyFeed } from "./key-feed.ts";
import { keySink } from "./key-sink.ts";
import { type RedisServers, redisConnection, redisPair, serverConnection } from "./redis-connection.ts";
import { FIELD } from "./stream-entry.ts";
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
  return resilientSource(serverConnection(serversOf(address, { policy, tls }), env), driver);
}

export interface RedisFeedOptions extends Pick<RedisSourceOptions, "policy" | "tls"> {
  /** Most messages of keys that are not durable. Default 1000. */
  readonly unsettledMax?: number;
}

/** A channel, or the keys with a prefix. */
export function redisFeed(address: RedisAddress, env: Env, { policy, tls, unsettledMax }: RedisFeedOptions = {}): Feed {
  const { kind, target: prefix, options } = address;
  const servers = serversOf(address, { policy, tls });
  if (kind === "channel") return resilientFeed(serverConnection(servers, env), channelFeed(prefix), env);
  const untilNow = options.get("until") === "now";
  const driver = keyFeed({ prefix, db: servers.db, untilNow, unsettledMax });
  return resilientFeed(redisPair(servers, env), driver, env);
}

export interface RedisSinkOptions extends Pick<RedisSourceOptions, "policy" | "tls"> {
  /** Field of a row that its key is in, of a sink that sets keys. */
  readonly key?: string;
}

/** `id` names the sink among all that write to the target: graph and node. */
export function redisSink(
  address: RedisAddress,
  id: string,
  env: Env,
  { policy, tls, key = "" }: RedisSinkOptions = {},
): SinkConnector {
  const { kind, target } = address;
  const servers = serversOf(address, { policy, tls });
  switch (kind) {
    case "channel":
      return resilientSink(serverConnection(servers, env), channelSink(target));
    case "key":
      return resilientSink(redisConnection(servers, env), keySink({ prefix: target, key }));
    case "stream": {
      const field = address.options.get("field") ?? FIELD;
      return resilientSink(serverConnection(servers, env), streamSink({ key: target, field, id }));
    }
  }
}

function serversOf(
  address: RedisAddress,
  { policy, tls }: Pick<RedisSourceOptions, "policy" | "tls">,
): RedisServers & { readonly db: number } {
  const { endpoints, user, password, options } = address;
  return {
    endpoints,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    tls,
    db: Number(options.get("db") ?? 0),
    policy: { ...policyOf(address), ...policy },
  };
}
