/**
 * Where a stream begins and ends, as it shows by reading: the broker's own counters are seconds behind. The broker keeps at least the newest
 * segment of a stream, so one that was ever written to is never empty.
 */
import { type Env, sleep } from "@millrace/engine";
import type { Channel, ConsumeMessage } from "amqplib";
import { ChannelWatch } from "./channel-watch.ts";
import type { RabbitLink } from "./rabbit-link.ts";

/** In which a broker that answers has sent the first message of a stream that has any. */
const EMPTY_AFTER_MS = 3000;
/** More than a chunk of a stream has. */
const CHUNK_MAX = 10_000;

/** `undefined`: what is no message of a stream. */
export function offsetOf({ properties }: ConsumeMessage): number | undefined {
  const offset: unknown = properties.headers?.["x-stream-offset"];
  return offset === undefined ? undefined : Number(offset);
}

/** Offset of the first message that the stream still has; `undefined`: it has none. */
export function firstOffset(link: RabbitLink, stream: string, env: Env): Promise<number | undefined> {
  return edgeOf(link, stream, env, "first");
}

/** Offset of the last message that there is now; `undefined`: there is none. */
export function lastOffset(link: RabbitLink, stream: string, env: Env): Promise<number | undefined> {
  return edgeOf(link, stream, env, "last");
}

async function edgeOf(
  link: RabbitLink,
  stream: string,
  env: Env,
  which: "first" | "last",
): Promise<number | undefined> {
  const channel = await link.model.createChannel();
  const watch = new ChannelWatch(channel);
  let edge: number | undefined;
  const waiting = new AbortController();
  try {
    await channel.prefetch(which === "first" ? 1 : CHUNK_MAX);
    const came = new Promise<void>((resolve, reject) => {
      const take = (message: ConsumeMessage | null): void => {
        if (message === null) reject(new Error(`the broker ended the delivery of stream ${stream}`));
        else edge = offsetOf(message);
        resolve();
      };
      channel.consume(stream, take, { arguments: { "x-stream-offset": which } }).catch(reject);
    });
    const silence = sleep(env, EMPTY_AFTER_MS, waiting.signal).catch(() => undefined);
    await Promise.race([came, silence, watch.failed, ended(link)]);
    if (edge === undefined) await Promise.race([refuseCounted(channel, stream), watch.failed, ended(link)]);
    // The rest of the chunk was sent with its first message, and the answer comes behind it.
    if (which === "last" && edge !== undefined) await Promise.race([channel.checkQueue(stream), watch.failed]);
    return edge;
  } finally {
    waiting.abort();
    // A link that is cut would never answer, so nobody waits for it.
    channel.close().catch(() => undefined);
  }
}

/** A broker that counts messages, and sends none, is slow: that must not pass for an empty stream. Its count may be behind, but not above. */
async function refuseCounted(channel: Channel, stream: string): Promise<void> {
  const { messageCount } = await channel.checkQueue(stream);
  if (messageCount > 0) throw new Error(`stream ${stream} sends nothing, though it has ${messageCount} messages`);
}

async function ended(link: RabbitLink): Promise<never> {
  throw new Error("the connection has ended", { cause: await link.ended });
}
