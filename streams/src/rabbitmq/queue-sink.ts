/**
 * Publishes to an exchange, or to a queue by the broker's nameless one. A delivery is done when the broker has confirmed every message,
 * and none came back because no queue is there for it. Messages have ids made of sink, lane, position and ordinal, by which a
 * receiver knows those that come twice.
 */
import { fieldOf, type Json } from "@millrace/engine";
import type { ConfirmChannel, Message } from "amqplib";
import { prefixed } from "../format/message-parts.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { type Outgoing, outgoingOf, Unfinished } from "../resilience/outgoing.ts";
import { priorityOf, type RowPriority } from "../resilience/row-priority.ts";
import { rabbitmqError } from "./errors.ts";
import type { RabbitLink } from "./rabbit-link.ts";

export interface QueueSinkOptions {
  /** Names the sink among all that write there: graph and node. */
  readonly id: string;
  /** Where it publishes to; one of the two. */
  readonly exchange?: string;
  readonly queue?: string;
  /** The routing key. */
  readonly key: string;
  /** Field of a row with its routing key, instead. */
  readonly keyField?: string;
  readonly priority?: RowPriority | undefined;
}

interface Routed extends Outgoing {
  readonly key: string;
  readonly priority: number | undefined;
}

/** Enough to keep a connection busy. */
const IN_FLIGHT_MAX = 1000;
/** Of the protocol's short strings. */
const SHORT_BYTES_MAX = 255;
/** AMQP's code for what can't be met, such as the size of a message. */
const PRECONDITION_FAILED = 406;

export function queueSink(options: QueueSinkOptions): MessageSinkDriver<RabbitLink> {
  const unfinished = new Unfinished();
  let publisher: Publisher | undefined;
  return {
    guarantee: "at-least-once",
    async open(link) {
      await publisher?.close();
      publisher = new Publisher(options, await link.model.createConfirmChannel(), unfinished);
      await publisher.check();
    },
    async deliver(_link, slices, encode) {
      const messages = slices
        .flatMap((slice) => outgoingOf(options.id, slice, encode))
        .map(
          (message): Routed => ({
            ...message,
            key: keyOf(message.row, options),
            priority: priorityOf(message.row, options.priority, noPriority),
          }),
        );
      await unfinished.finish(messages, IN_FLIGHT_MAX, async (some) => publisher?.publish(some));
      return null;
    },
  };
}

/** A channel that confirms. It is of no use any more once something failed on it. */
class Publisher {
  readonly #options: QueueSinkOptions;
  readonly #channel: ConfirmChannel;
  readonly #unfinished: Unfinished;
  readonly #failed: Promise<never>;
  /** Ids of messages that came back, which the broker says before it confirms them. */
  readonly #returned = new Set<string>();

  constructor(options: QueueSinkOptions, channel: ConfirmChannel, unfinished: Unfinished) {
    this.#options = options;
    this.#channel = channel;
    this.#unfinished = unfinished;
    this.#failed = new Promise((_, reject) => {
      channel.on("error", (error) => reject(channelFailure(error)));
      channel.on("close", () => reject(new Error("the channel was closed before the broker had taken everything")));
    });
    this.#failed.catch(() => undefined);
    channel.on("return", ({ properties }: Message) => this.#returned.add(String(properties.messageId)));
  }

  /** Rejects when what is published to does not exist. */
  async check(): Promise<void> {
    const { queue, exchange = "" } = this.#options;
    if (queue !== undefined) await this.#channel.checkQueue(queue);
    else await this.#channel.checkExchange(exchange);
  }

  /** Resolves when the broker has taken all of them. What it took of them otherwise is remembered. */
  async publish(messages: readonly Routed[]): Promise<void> {
    const confirmed = await Promise.race([Promise.all(messages.map((message) => this.#send(message))), this.#failed]);
    const nacked = confirmed.find((reason) => reason !== undefined);
    if (nacked !== undefined) throw nacked;
    const lost = messages.find(({ id }) => this.#returned.has(id));
    this.#returned.clear();
    if (lost !== undefined) throw this.#unroutable(lost);
  }

  async close(): Promise<void> {
    // It may have been closed by what made it useless; where its connection ends the client forgets who waits for the answer.
    await Promise.race([this.#channel.close(), this.#failed]).catch(() => undefined);
  }

  /** Resolves with why the broker did not take it, if so. */
  #send({ id, key, body, contentType, attributes, priority }: Routed): Promise<Error | undefined> {
    const { exchange = "" } = this.#options;
    const properties = {
      persistent: true,
      mandatory: true,
      messageId: id,
      headers: prefixed("cloudEvents:", attributes),
      ...(contentType === undefined ? {} : { contentType }),
      ...(priority === undefined ? {} : { priority }),
    };
    return new Promise((resolve) => {
      this.#channel.publish(exchange, key, body, properties, (error: unknown) => {
        if (error === null && !this.#returned.has(id)) this.#unfinished.took(id);
        const text = `the broker did not take a message for ${exchange || key}`;
        resolve(error === null ? undefined : rabbitmqError("RABBITMQ-NACK", text, { cause: error }));
      });
    });
  }

  #unroutable({ key }: Routed): Error {
    const { queue, exchange } = this.#options;
    // A queue that is gone is waited for, as it is when the sink is opened.
    if (queue !== undefined) return new Error(`queue ${queue} is not there any more`);
    const text = `exchange ${exchange} has no queue for routing key \`${key}\``;
    return rabbitmqError("RABBITMQ-UNROUTABLE", text, { details: { exchange: exchange ?? "", key } });
  }
}

/** A message that is too large fails however often it is sent. */
function channelFailure(error: Error & { code?: number }): Error {
  const isSize = error.code === PRECONDITION_FAILED && /message size/i.test(error.message);
  return isSize ? rabbitmqError("RABBITMQ-TOO-LARGE", error.message, { cause: error }) : error;
}

const noPriority = (text: string, field: string): Error =>
  rabbitmqError("RABBITMQ-PRIORITY", text, { details: { field } });

function keyOf(row: Json, { key, keyField, exchange }: QueueSinkOptions): string {
  return keyField === undefined ? key : routingKey(row, keyField, exchange);
}

/** @throws RABBITMQ-KEY */
function routingKey(row: Json, field: string, exchange = ""): string {
  const value = fieldOf(row, field);
  const isText = value !== undefined && value !== null && typeof value !== "object";
  if (isText && Buffer.byteLength(String(value)) <= SHORT_BYTES_MAX) return String(value);
  const found = JSON.stringify(value)?.slice(0, SHORT_BYTES_MAX) ?? "nothing";
  throw rabbitmqError("RABBITMQ-KEY", `a row for exchange ${exchange} has ${found} in \`${field}\``);
}
