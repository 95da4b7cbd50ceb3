/**
 * The messages of a queue, or of a topic's durable subscription, as a feed. The broker keeps what is not acknowledged, and sends it again
 * when the connection has ended. A message keeps the id that its sender's client gave it, so what became durable before its
 * acknowledgement was lost is known when it comes again.
 */
import { type FeedReceipt, isJsonObject, type Json, MillraceError } from "@millrace/engine";
import { shownBody } from "../format/decoded.ts";
import type { MessageIntake } from "../resilience/message-intake.ts";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import type { IncomingFrame } from "./bridge-frame.ts";
import { type BridgeLink, isFinal, withCode } from "./bridge-link.ts";
import { jmsError } from "./errors.ts";

export interface DestinationFeedOptions {
  readonly kind: "queue" | "topic";
  readonly name: string;
  /** How many may be handed over before one of them is settled. */
  readonly prefetch: number;
  /** Property with the sender's own id; no two messages have one. Absent: the id of the API. */
  readonly ids?: string | undefined;
  readonly selector?: string | undefined;
  /** Of a topic: what was sent is kept under this name while nobody listens. */
  readonly subscription?: string | undefined;
  /** Messages are put into what is said about them. */
  readonly envelope: boolean;
  /** A message that was delivered more often is a dead letter. */
  readonly deliveriesMax?: number | undefined;
  readonly bytesMax: number;
  /** A map is a message, too. */
  readonly takesMaps: boolean;
}

export function destinationFeed(options: DestinationFeedOptions): FeedDriver<BridgeLink> {
  const { kind, name, selector, subscription, ids, envelope, bytesMax, prefetch: credit } = options;
  return {
    capabilities: { ordered: true, pause: true, nack: true },
    isFinal,
    subscribes: true,
    resends: true,
    async listen(link, intake, heard) {
      const wanted = { kind, name, selector, subscription, ids, envelope, bytesMax, credit };
      await link
        .listen(wanted, (message) => receive(message, receiptOf(message, link), intake, options))
        .catch((error: unknown) => {
          throw isFinal(error) ? error : withCode(error);
        });
      heard();
      const reason = await link.ended;
      if (reason instanceof MillraceError) throw reason;
    },
  };
}

function receive(
  message: IncomingFrame,
  receipt: FeedReceipt,
  intake: MessageIntake,
  options: DestinationFeedOptions,
): void {
  const { name } = options;
  const fault = unreadable(message, options) ?? tooManyDeliveries(message, options);
  const around = options.envelope ? aroundOf(message) : undefined;
  if (fault !== undefined) intake.reject(fault, shown(message), receipt);
  else if (message.bytes !== undefined) intake.takeBody(message.bytes, name, receipt, around);
  else {
    const row = valueJson(message.entries ?? {});
    intake.take(around === undefined ? row : around(row), receipt);
  }
}

function receiptOf({ n, id }: IncomingFrame, link: BridgeLink): FeedReceipt {
  return { ...(id === undefined || id === null || id === "" ? {} : { id }), settle: () => link.settle(n) };
}

const NO_BYTES = "it is a map, and a schema registry describes bytes";

function unreadable(message: IncomingFrame, { name, bytesMax, takesMaps }: DestinationFeedOptions): Error | undefined {
  const { bytes, large } = message;
  const isMap = bytes === undefined && large === undefined;
  const unfit = message.unfit ?? (isMap && !takesMaps ? NO_BYTES : undefined);
  const place = { stream: name };
  if (unfit !== undefined) return jmsError("JMS-TYPE", `a message of ${name} cannot be read: ${unfit}`, { place });
  if (large === undefined) return undefined;
  const text = `a message of ${name} has ${large} bytes, and \`jms.bytesMax\` is ${bytesMax}`;
  return jmsError("JMS-TOO-LARGE", text, { place });
}

function tooManyDeliveries({ deliveries, id }: IncomingFrame, options: DestinationFeedOptions): Error | undefined {
  const { deliveriesMax: most, name } = options;
  if (most === undefined || deliveries === undefined || deliveries <= most) return undefined;
  const text = `${name} delivered a message ${deliveries} times, and ${most} are allowed`;
  return jmsError("JMS-DELIVERIES", text, { place: { stream: name }, details: { deliveries, messageId: id ?? "" } });
}

/** A map is shown as the row that it would be. */
function shown({ bytes, entries }: IncomingFrame): Json {
  if (bytes !== undefined) return shownBody(bytes);
  return entries === undefined ? null : valueJson(entries);
}

/** Times are ISO 8601; what is not known is null. */
function aroundOf({ about, deliveries }: IncomingFrame): (data: Json) => Json {
  const said = isJsonObject(about) ? about : {};
  const at = (ms: Json | undefined): Json => (typeof ms === "number" && ms > 0 ? new Date(ms).toISOString() : null);
  const head = { ...said, time: at(said.time), expires: at(said.expires), deliveries: deliveries ?? null };
  return (data) => ({ ...entriesJson(head), data });
}

/** Of values that JSON has no word for there are bytes only. */
function entriesJson(entries: object): Record<string, Json> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, valueJson(value)]));
}

function valueJson(value: unknown): Json {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (typeof value === "object" && value !== null) return entriesJson(value);
  return value as Json;
}
