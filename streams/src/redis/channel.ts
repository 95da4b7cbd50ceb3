/** Redis pub/sub: what is published is seen by who listens, and kept by nobody. */
import { type Env, type Feed, type Json, MillraceError, sleep } from "@millrace/engine";
import type { Redis } from "ioredis";
import type { Connection } from "../resilience/connection.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";

const RETRY_MS = 100;

/** A channel as a feed. */
export function channelFeed(connection: Connection<Redis>, channel: string, env: Env): Feed {
  return {
    connection: () => connection.status,
    async run(take, lost, signal) {
      signal.addEventListener("abort", () => void connection.disconnect(), { once: true });
      while (!signal.aborted) {
        try {
          const redis = await connection.acquire();
          const ended = new Promise<void>((resolve) => redis.once("end", () => resolve()));
          redis.on("message", (_channel, text) => {
            const row = parsed(text);
            if (row === undefined) lost(1, "was no JSON");
            else take(row);
          });
          await redis.subscribe(channel);
          await ended;
        } catch (error) {
          const waitMs = error instanceof MillraceError ? error.retryAfterMs : undefined;
          await sleep(env, waitMs ?? RETRY_MS, signal).catch(() => undefined);
        }
      }
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

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
