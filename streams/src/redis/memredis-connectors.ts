/** Sources, feeds and sinks by what a `memredis:` address names: those of `redis:`, over the Redis in the process. */
import type { Env, Feed, MemredisAddress, SinkConnector, SourceConnector } from "@millrace/engine";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import { Connection } from "../resilience/connection.ts";
import { messageSink } from "../resilience/message-sink.ts";
import { messageSource } from "../resilience/message-source.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import { channelFeed, channelSink } from "./channel.ts";
import type { MemoryRedis, MemoryRedisClient } from "./memory-redis.ts";
import { FIELD } from "./stream-entry.ts";
import { streamSink } from "./stream-sink.ts";
import { streamSource } from "./stream-source.ts";

export interface MemredisOptions {
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Wait for more before a source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

/**
 * A stream. What an earlier process had, and what newer entries pushed out before it was read, is a gap with its exact range; unless the
 * address says otherwise it is written down, and the source goes on.
 */
export function memredisSource(
  { target, options }: MemredisAddress,
  redis: MemoryRedis,
  env: Env,
  { policy, pollMs }: MemredisOptions = {},
): SourceConnector {
  const driver = streamSource({
    key: target,
    field: options.get("field") ?? FIELD,
    gap: options.get("gap") === "stop" ? "stop" : "record",
    untilNow: options.get("until") === "now",
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  return messageSource(connection(target, redis, env, policy), driver, jsonDecoder);
}

/** A channel. */
export function memredisFeed(
  { target }: MemredisAddress,
  redis: MemoryRedis,
  env: Env,
  { policy }: MemredisOptions = {},
): Feed {
  return resilientFeed(connection(target, redis, env, policy), channelFeed(target), env);
}

/** `id` names the sink among all that write to the target: graph and node. */
export function memredisSink(
  { kind, target, options }: MemredisAddress,
  id: string,
  redis: MemoryRedis,
  env: Env,
  { policy }: MemredisOptions = {},
): SinkConnector {
  const over = connection(target, redis, env, policy);
  if (kind === "channel") return messageSink(over, channelSink(target), jsonEncoder);
  const field = options.get("field") ?? FIELD;
  return messageSink(over, streamSink({ key: target, field, id, forgets: true }), jsonEncoder);
}

function connection(
  target: string,
  redis: MemoryRedis,
  env: Env,
  policy: Partial<ResiliencePolicy> = {},
): Connection<MemoryRedisClient> {
  return new Connection({
    name: `memredis:${target}`,
    endpoints: [target],
    env,
    policy,
    driver: {
      connect: async () => redis.connect(),
      // It is this process.
      probe: () => Promise.resolve(),
      ended: (client) => client.ended,
      disconnect: async (client) => client.end(),
    },
  });
}
