/**
 * Sends to a queue or a topic. A delivery is done when the broker has accepted every message, all of which it is told to keep. Messages
 * have an id of their own, by which a receiver knows those that come twice.
 */
import rhea, { type Delivery, type EventContext, type Sender } from "rhea";
import { prefixed } from "../format/message-parts.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { type Outgoing, outgoingOf, Unfinished } from "../resilience/outgoing.ts";
import { priorityOf, type RowPriority } from "../resilience/row-priority.ts";
import { type AmqpLink, AmqpRefusal, described } from "./amqp-link.ts";
import { inBasicPlane } from "./basic-plane.ts";
import { amqp10Error } from "./errors.ts";

export interface NodeSinkOptions {
  /** Names the sink among all that write there: graph and node. */
  readonly id: string;
  readonly kind: "queue" | "topic";
  /** The node's address as the broker writes it. */
  readonly address: string;
  readonly priority?: RowPriority | undefined;
}

/** Enough to keep a connection busy, and within what the client holds. */
const IN_FLIGHT_MAX = 1000;
const SIZE_CONDITION = "amqp:link:message-size-exceeded";
const CUT = "the connection ended before the broker had taken everything";

export function nodeSink(options: NodeSinkOptions): MessageSinkDriver<AmqpLink> {
  const unfinished = new Unfinished();
  let publisher: Publisher | undefined;
  return {
    guarantee: "at-least-once",
    async open(link) {
      publisher?.close();
      publisher = new Publisher(options, link, unfinished);
      await publisher.opened();
    },
    async deliver(_link, slices, encode) {
      const messages = slices.flatMap((slice) => outgoingOf(options.id, slice, encode));
      await unfinished.finish(messages, IN_FLIGHT_MAX, async (some) => publisher?.publish(some));
      return null;
    },
  };
}

interface Waiting {
  readonly id: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A link that sends. It is of no use any more once something failed on it. */
class Publisher {
  readonly #options: NodeSinkOptions;
  readonly #sender: Sender;
  readonly #unfinished: Unfinished;
  readonly #failed: Promise<never>;
  readonly #isOpen: Promise<void>;
  readonly #sent = new Map<Delivery, Waiting>();

  constructor(options: NodeSinkOptions, link: AmqpLink, unfinished: Unfinished) {
    const { kind, address } = options;
    this.#options = options;
    this.#unfinished = unfinished;
    const sender = link.connection.open_sender({ target: { address, capabilities: [kind] } });
    this.#sender = sender;
    this.#isOpen = new Promise((resolve) => sender.once("sender_open", () => resolve()));
    this.#failed = new Promise((_, reject) => {
      const ends = (context: EventContext): void => reject(this.#refusal(context.sender?.error));
      sender.on("sender_error", ends);
      sender.on("sender_close", ends);
      void link.ended.then((reason) => reject(reason === undefined ? new Error(CUT) : this.#refusal(reason)));
    });
    this.#failed.catch(() => undefined);
    this.#heedOutcomes();
  }

  /** Rejects when what is sent to does not exist, or may not be sent to. */
  async opened(): Promise<void> {
    await Promise.race([this.#isOpen, this.#failed]);
  }

  /** Resolves when the broker has taken all of them. What it took of them otherwise is remembered. */
  async publish(messages: readonly Outgoing[]): Promise<void> {
    await Promise.race([Promise.all(messages.map((message) => this.#send(message))), this.#failed]);
  }

  close(): void {
    if (this.#sender.is_open()) this.#sender.close();
  }

  /** The client holds it until the broker gives credit. */
  #send({ id, row, body, contentType, attributes }: Outgoing): Promise<void> {
    const priority = priorityOf(row, this.#options.priority, noPriority);
    const encoded = rhea.message.encode({
      message_id: id,
      durable: true,
      ...(priority === undefined ? {} : { priority }),
      content_type: contentType,
      application_properties: prefixed("cloudEvents:", attributes),
      body: rhea.message.data_section(inBasicPlane(body, contentType)),
    });
    const most = this.#sender.max_message_size;
    if (most > 0 && encoded.length > most)
      throw this.#tooLarge(`a message of ${encoded.length} bytes is longer than ${most}, which the broker takes`);
    return new Promise((resolve, reject) => {
      this.#sent.set(this.#sender.send(encoded, undefined, 0), { id, resolve, reject });
    });
  }

  #heedOutcomes(): void {
    const { address } = this.#options;
    this.#sender.on("accepted", ({ delivery }: EventContext) => {
      const waiting = this.#settled(delivery);
      if (waiting === undefined) return;
      this.#unfinished.took(waiting.id);
      waiting.resolve();
    });
    this.#sender.on("rejected", ({ delivery }: EventContext) => {
      const { error } = (delivery?.remote_state ?? {}) as { readonly error?: unknown };
      const why = error === undefined || error === null ? "it does not say why" : described(error).message;
      const text = `the broker rejects a message for ${address}: ${why}`;
      this.#settled(delivery)?.reject(amqp10Error("AMQP10-REJECTED", text, { details: { address } }));
    });
    this.#sender.on("released", ({ delivery }: EventContext) => {
      const text = `the broker gave a message for ${address} back`;
      this.#settled(delivery)?.reject(amqp10Error("AMQP10-RELEASED", text, { details: { address } }));
    });
  }

  #settled(delivery: Delivery | undefined): Waiting | undefined {
    if (delivery === undefined) return undefined;
    const waiting = this.#sent.get(delivery);
    this.#sent.delete(delivery);
    return waiting;
  }

  #refusal(error: unknown): Error {
    if (error === undefined || error === null)
      return new Error(`the broker does not take messages for ${this.#options.address} any more`);
    const refusal = described(error);
    const isSize = refusal instanceof AmqpRefusal && refusal.condition === SIZE_CONDITION;
    return isSize ? this.#tooLarge(refusal.message, refusal) : refusal;
  }

  #tooLarge(text: string, cause?: Error): Error {
    const details = { address: this.#options.address };
    return amqp10Error("AMQP10-TOO-LARGE", text, { details, ...(cause === undefined ? {} : { cause }) });
  }
}

const noPriority = (text: string, field: string): Error => amqp10Error("AMQP10-PRIORITY", text, { details: { field } });
