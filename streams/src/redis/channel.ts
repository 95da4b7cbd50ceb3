/** Redis pub/sub: what is published is seen by who listens, and kept by nobody. */
import { type FeedDriver, takeJson } from "../resilience/resilient-feed.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import type { RedisClient } from "./redis-client.ts";

/** A channel as a feed. */
export function channelFeed(channel: string): FeedDriver<RedisClient> {
  return {
    subscribes: true,
    async listen(redis, intake, heard) {
      await redis.subscribe(channel, (data) => takeJson(intake, data, channel));
      heard();
      await redis.ended;
    },
  };
}

/** Publishes to a channel. The server has taken the messages when it answers. */
export function channelSink(channel: string): SinkDriver<RedisClient> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(redis, slices) {
      const rows = slices.flatMap(({ batch }) => batch.rows());
      await Promise.all(rows.map((row) => redis.publish(channel, JSON.stringify(row))));
      return null;
    },
  };
}
