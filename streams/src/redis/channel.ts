/** Redis pub/sub: what is published is seen by who listens, and kept by nobody. */
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import type { RedisClient } from "./redis-client.ts";

/** A channel as a feed. */
export function channelFeed(channel: string): FeedDriver<RedisClient> {
  return {
    subscribes: true,
    async listen(redis, intake, heard) {
      await redis.subscribe(channel, (data) => intake.takeBody(data, channel));
      heard();
      await redis.ended;
    },
  };
}

/** Publishes to a channel. The server has taken the messages when it answers. */
export function channelSink(channel: string): MessageSinkDriver<RedisClient> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(redis, slices, encode) {
      // All of them first, so that nothing is published before one that cannot be.
      const bodies = slices.flatMap(({ batch }) => batch.rows().map((row) => encode(row).body));
      await Promise.all(bodies.map((body) => redis.publish(channel, body)));
      return null;
    },
  };
}
