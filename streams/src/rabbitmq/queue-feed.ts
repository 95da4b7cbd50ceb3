/**
 * The messages of a queue as a feed. The broker keeps what is not acknowledged, and sends it again when the channel it came over has ended;
 * an acknowledgement counts on that channel only, so what became durable after its end comes again.
 */
import type { FeedReceipt } from "@millrace/engine";
import type { Channel, ConsumeMessage } from "amqplib";
import { shownBody } from "../format/decoded.ts";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { ChannelWatch } from "./channel-watch.ts";
import { rabbitmqError } from "./errors.ts";
import { envelopeOf } from "./message-envelope.ts";
import type { RabbitLink } from "./rabbit-link.ts";

/** A queue that is made, and bound to an exchange. */
export interface OwnQueue {
  readonly exchange: string;
  readonly key: string;
  readonly name: string;
  readonly type: "quorum" | "classic";
  /** It is deleted when nobody read it for so long. */
  readonly expiryMs: number;
}

export interface QueueFeedOptions {
  /** A name: the queue is somebody else's, and one that is missing is waited for. */
  readonly queue: string | OwnQueue;
  /** How many may be sent before one of them is acknowledged. */
  readonly prefetch: number;
  /** No two messages of the queue have one `message-id`. */
  readonly hasIds: boolean;
  /** Messages are `{exchange, key, id, priority, redelivered, headers, data}`. */
  readonly envelope: boolean;
  /** A message that was delivered more often is a dead letter. Only quorum queues count. */
  readonly deliveriesMax?: number;
}

export function queueFeed(options: QueueFeedOptions): FeedDriver<RabbitLink> {
  const { queue, prefetch, envelope } = options;
  const name = typeof queue === "string" ? queue : queue.name;
  return {
    capabilities: { ordered: true, pause: true, nack: true },
    subscribes: true,
    resends: true,
    async listen(link, intake, heard) {
      const channel = await link.model.createChannel();
      const watch = new ChannelWatch(channel);
      if (typeof queue === "string") await channel.checkQueue(queue);
      else await makeQueue(channel, queue);
      await channel.prefetch(prefetch);
      await channel.consume(name, (message) => {
        if (message === null) watch.fail(new Error(`the broker ended the delivery of queue ${name}`));
        else if (message.properties.headers?.["x-stream-offset"] !== undefined) watch.fail(streamRefused(name));
        else {
          const receipt = receiptOf(message, watch, options.hasIds);
          const tooOften = tooManyDeliveries(message, name, options.deliveriesMax);
          if (tooOften !== undefined) intake.reject(tooOften, shownBody(message.content), receipt);
          else intake.takeBody(message.content, name, receipt, envelope ? envelopeOf(message) : undefined);
        }
      });
      heard();
      await Promise.race([watch.failed, link.ended]);
    },
  };
}

async function makeQueue(channel: Channel, { name, exchange, key, type, expiryMs }: OwnQueue): Promise<void> {
  // First, so that no queue is left behind for an exchange that does not exist.
  await channel.checkExchange(exchange);
  await channel.assertQueue(name, { durable: true, expires: expiryMs, arguments: { "x-queue-type": type } });
  await channel.bindQueue(name, exchange, key);
}

function receiptOf(message: ConsumeMessage, watch: ChannelWatch, hasIds: boolean): FeedReceipt {
  const id: unknown = message.properties.messageId;
  return {
    ...(hasIds && typeof id === "string" && id !== "" ? { id } : {}),
    settle() {
      if (watch.isOpen) watch.channel.ack(message);
    },
  };
}

function tooManyDeliveries(message: ConsumeMessage, queue: string, most: number | undefined): Error | undefined {
  const before: unknown = message.properties.headers?.["x-delivery-count"];
  if (most === undefined || typeof before !== "number" || before < most) return undefined;
  const text = `queue ${queue} delivered a message ${before + 1} times, and ${most} are allowed`;
  const details = { deliveries: before + 1, messageId: String(message.properties.messageId ?? "") };
  return rabbitmqError("RABBITMQ-DELIVERIES", text, { place: { stream: queue }, details });
}

function streamRefused(queue: string): Error {
  const message = `queue ${queue} is a stream, which keeps what was acknowledged`;
  return rabbitmqError("RABBITMQ-STREAM", message, { place: { stream: queue } });
}
