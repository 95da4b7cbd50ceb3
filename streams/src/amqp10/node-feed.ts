/**
 * The messages of a queue, or of a topic's durable subscription, as a feed. Credit is given for so many as may be unsettled; the broker
 * keeps what is not accepted, and sends it again when the link has ended.
 */
import { engineError, type FeedReceipt } from "@millrace/engine";
import rhea, { type EventContext, type Message } from "rhea";
import { shownBody } from "../format/decoded.ts";
import type { MessageIntake } from "../resilience/message-intake.ts";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { type AmqpLink, AmqpRefusal, described } from "./amqp-link.ts";
import { Credit } from "./credit.ts";
import { amqp10Error } from "./errors.ts";
import { envelopeOf } from "./message-envelope.ts";

export interface NodeFeedOptions {
  readonly kind: "queue" | "topic";
  /** The node's address as the broker writes it. */
  readonly address: string;
  /** How many may be sent before one of them is accepted. */
  readonly prefetch: number;
  /** No two messages of the node have one `message-id`. */
  readonly hasIds: boolean;
  /** Which messages are wanted, as JMS writes it. */
  readonly selector?: string;
  /** Of a topic: what was sent is kept under this name while nobody listens. */
  readonly subscription?: string;
  /** Messages are `{address, id, subject, priority, redelivered, properties, data}`. */
  readonly envelope: boolean;
  /** A message that was delivered more often is a dead letter. */
  readonly deliveriesMax?: number;
}

/** What is unsettled on a link that is gone is kept, and so is the subscription itself. */
const DURABLE = { durable: 2, expiry_policy: "never" };
/** A data section, as the client tells it. */
const DATA_SECTION = 0x75;

export function nodeFeed(options: NodeFeedOptions): FeedDriver<AmqpLink> {
  return {
    capabilities: { ordered: true, pause: true, nack: true },
    subscribes: true,
    resends: true,
    async listen(link, intake, heard) {
      const receiver = link.connection.open_receiver(receiverOptions(options));
      const credit = new Credit(receiver, options.prefetch);
      const refused = new Promise<never>((_, reject) => {
        const ends = (context: EventContext): void => reject(described(context.receiver?.error ?? detached(options)));
        receiver.on("receiver_error", ends);
        receiver.on("receiver_close", ends);
      });
      receiver.on("message", ({ message, delivery }: EventContext) => {
        if (message === undefined || delivery === undefined) return;
        credit.took();
        const settle = (): void => {
          if (!link.isOpen) return;
          delivery.accept();
          credit.settled();
        };
        receive(message, settle, intake, options);
      });
      receiver.once("receiver_open", () => {
        // What is refused is answered as what is not, but without a source; its end follows.
        if (receiver.source?.address !== undefined) heard();
        credit.give();
      });
      const reason = await Promise.race([refused, link.ended]);
      if (reason instanceof AmqpRefusal) throw reason;
    },
  };
}

function receiverOptions({ kind, address, selector, subscription }: NodeFeedOptions): object {
  return {
    ...(subscription === undefined ? {} : { name: subscription }),
    source: {
      address,
      capabilities: [kind],
      ...(subscription === undefined ? {} : DURABLE),
      ...(selector === undefined ? {} : { filter: rhea.filter.selector(selector) }),
    },
    credit_window: 0,
    autoaccept: false,
    autosettle: false,
  };
}

function receive(message: Message, settle: () => void, intake: MessageIntake, options: NodeFeedOptions): void {
  const receipt = { ...idOf(message, options.hasIds), settle };
  const body = bytesOf(message.body);
  const tooOften = tooManyDeliveries(message, options);
  if (tooOften !== undefined) intake.reject(tooOften, body === undefined ? null : shownBody(body), receipt);
  else if (body === undefined) intake.reject(noText(options.address), null, receipt);
  else intake.takeBody(body, options.address, receipt, options.envelope ? envelopeOf(message, options) : undefined);
}

function idOf({ message_id: id }: Message, hasIds: boolean): Pick<FeedReceipt, "id"> {
  return hasIds && id !== undefined && id !== null && id !== "" ? { id: String(id) } : {};
}

/** Of what others send as text or as bytes, the bytes; JSON can be in nothing else. */
function bytesOf(body: unknown): Uint8Array | undefined {
  if (typeof body === "string") return Buffer.from(body);
  if (Buffer.isBuffer(body)) return body;
  const { typecode, content } = (body ?? {}) as { readonly typecode?: unknown; readonly content?: unknown };
  if (typecode !== DATA_SECTION) return undefined;
  if (Array.isArray(content)) return Buffer.concat(content as readonly Buffer[]);
  return Buffer.isBuffer(content) ? content : undefined;
}

function tooManyDeliveries({ delivery_count: before, message_id: id }: Message, options: NodeFeedOptions) {
  const { deliveriesMax: most, address } = options;
  if (most === undefined || typeof before !== "number" || before < most) return undefined;
  const text = `${address} delivered a message ${before + 1} times, and ${most} are allowed`;
  const details = { deliveries: before + 1, messageId: String(id ?? "") };
  return amqp10Error("AMQP10-DELIVERIES", text, { place: { stream: address }, details });
}

function noText(address: string): Error {
  const message = `a message of ${address} is no JSON: its body is neither text nor bytes`;
  return engineError("MSG-DECODE", message, { place: { stream: address } });
}

const detached = ({ address }: NodeFeedOptions): Error => new Error(`the broker ended the delivery of ${address}`);
