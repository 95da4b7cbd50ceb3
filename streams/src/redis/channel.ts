/** Redis pub/sub: what is published is seen by who listens, and kept by nobody. */
import type { Redis } from "ioredis";
import { type FeedDriver, takeJson } from "../resilience/resilient-feed.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";

/** A channel as a feed. */
export function channelFeed(channel: string): FeedDriver<Redis> {
  return {
    subscribes: true,
    async listen(redis, intake, heard) {
      const ended = new Promise<void>((resolve) => redis.once("end", () => resolve()));
      redis.on("messageBuffer", (_channel, data) => takeJson(intake, data, channel));
      await redis.subscribe(channel);
      heard();
      await ended;
    },
  };
}

/** Publishes to a channel. The server has taken the messages when it answers. */
export function channelSink(channel: string): SinkDriver<Redis> {
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
