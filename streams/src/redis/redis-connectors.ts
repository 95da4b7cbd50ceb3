/** Sources, feeds and sinks by what a `redis:` address names. */
import type { Env, Feed, RedisAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import { policyOf, type Tls } from "../resilience/endpoint.ts";
import { messageSink } from "../resilience/message-sink.ts";
import { messageSource } from "../resilience/message-source.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
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
  /** What messages are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
}

/** A stream. */
export function redisSource(address: RedisAddress, env: Env, options: RedisSourceOptions = {}): SourceConnector {
  const { policy, tls, pollMs, format = jsonDecoder } = options;
  const driver = streamSource({
    key: address.target,
    field: address.options.get("field") ?? FIELD,
    gap: address.options.get("gap") === "record" ? "record" : "stop",
    untilNow: address.options.get("until") === "now",
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  return messageSource(serverConnection(serversOf(address, { policy, tls }), env), driver, format);
}

export interface RedisFeedOptions extends Pick<RedisSourceOptions, "policy" | "tls" | "format"> {
  /** Most messages of keys that are not durable. Default 1000. */
  readonly unsettledMax?: number;
}

/** A channel, or the keys with a prefix. */
export function redisFeed(
  address: RedisAddress,
  env: Env,
  { policy, tls, unsettledMax, format }: RedisFeedOptions = {},
): Feed {
  const { kind, target: prefix, options } = address;
  const servers = serversOf(address, { policy, tls });
  if (kind === "channel") return resilientFeed(serverConnection(servers, env), channelFeed(prefix), env, format);
  const untilNow = options.get("until") === "now";
  const driver = keyFeed({ prefix, db: servers.db, untilNow, unsettledMax });
  return resilientFeed(redisPair(servers, env), driver, env, format);
}

export interface RedisSinkOptions extends Pick<RedisSourceOptions, "policy" | "tls"> {
  /** Field of a row that its key is in, of a sink that sets keys. */
  readonly key?: string;
  /** What messages are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
}

/** `id` names the sink among all that write to the target: graph and node. */
export function redisSink(
  address: RedisAddress,
  id: string,
  env: Env,
  { policy, tls, key = "", format = jsonEncoder }: RedisSinkOptions = {},
): SinkConnector {
  const { kind, target } = address;
  const servers = serversOf(address, { policy, tls });
  switch (kind) {
    case "channel":
      return messageSink(serverConnection(servers, env), channelSink(target), format);
    case "key":
      return messageSink(redisConnection(servers, env), keySink({ prefix: target, key }), format);
    case "stream": {
      const field = address.options.get("field") ?? FIELD;
      return messageSink(serverConnection(servers, env), streamSink({ key: target, field, id }), format);
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
