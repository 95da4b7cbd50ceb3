/**
 * The messages of a topic filter as a feed. With a session the broker keeps what is not acknowledged, and sends it again under the same number
 * over the next connection; a message that is still on its way to the log is then not taken a second time.
 */
import type { FeedReceipt, Json } from "@millrace/engine";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import type { MqttLink, MqttMessage } from "./mqtt-link.ts";

export interface TopicFeedOptions {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  /** Messages are `{topic, qos, retain, contentType, properties, data}`. */
  readonly envelope: boolean;
}

/** A message that the broker may still send again. */
interface Held {
  readonly message: MqttMessage;
  readonly qos: 1 | 2;
  /** The connection that it came over last. */
  link: MqttLink;
  isDurable: boolean;
}

/** Retained messages come with a new subscription only, not with each connection. */
const RETAINED_IF_NEW = 1;
const REFUSED = 128;

export function topicFeed({ filter, qos, envelope }: TopicFeedOptions): FeedDriver<MqttLink> {
  /** By their numbers. */
  const held = new Map<number, Held>();

  const receiptOf = (link: MqttLink, messageId: number, message: MqttMessage): FeedReceipt => {
    const entry: Held = { message, qos: message.qos === 2 ? 2 : 1, link, isDurable: false };
    held.set(messageId, entry);
    return {
      settle() {
        entry.isDurable = true;
        acknowledge(messageId, entry);
      },
    };
  };
  /** What could not be told to the broker is told when it sends the message again: until then the number stays this message's. */
  const acknowledge = (messageId: number, entry: Held): void => {
    const isSent = entry.link.acknowledge(messageId, entry.qos);
    // The number of a message of quality 1 may be another's at once; one of quality 2 may come again until its release comes.
    if (isSent && entry.qos === 1 && held.get(messageId) === entry) held.delete(messageId);
  };
  /** Whether it is on its way already, or even durable. A broker that forgot may give the number to another message. */
  const isAgain = (link: MqttLink, messageId: number, message: MqttMessage): boolean => {
    const entry = held.get(messageId);
    if (entry === undefined || !isSame(entry.message, message)) return false;
    entry.link = link;
    if (entry.isDurable) acknowledge(messageId, entry);
    return true;
  };
  const around = envelope
    ? (message: MqttMessage) =>
        (data: Json): Json =>
          enveloped(message, data)
    : undefined;
  return {
    ...(qos === 0 ? {} : { capabilities: { ordered: true, pause: true, nack: true } }),
    subscribes: true,
    async listen(link, intake, heard) {
      // Numbers are the session's.
      if (!link.hasSession) held.clear();
      link.listen({
        received(message) {
          const { messageId, topic, payload } = message;
          const isKept = messageId !== undefined && message.qos !== 0;
          if (isKept && isAgain(link, messageId, message)) return;
          const receipt = isKept ? receiptOf(link, messageId, message) : undefined;
          intake.takeBody(payload, topic, receipt, around?.(message));
        },
        released: (messageId) => void held.delete(messageId),
      });
      const granted = await Promise.race([
        link.client.subscribeAsync(filter, { qos, rh: RETAINED_IF_NEW }),
        link.ended.then(() => []),
      ]);
      if (granted.some((grant) => grant.qos >= REFUSED)) throw new Error(`the broker refuses ${filter}`);
      // It would keep nothing, and nothing would be acknowledged: what is on its way would be lost without a word.
      if (qos > 0 && granted.some((grant) => grant.qos === 0))
        throw new Error(`the broker gives ${filter} quality of service 0 only, and ${qos} was asked for`);
      if (granted.length > 0) heard();
      await link.ended;
    },
  };
}

const isSame = (held: MqttMessage, { dup, topic, payload }: MqttMessage): boolean =>
  dup && held.topic === topic && Buffer.compare(held.payload, payload) === 0;

/** What the sender left out is null; its own properties are those of the user. */
function enveloped({ topic, qos, retain, properties: said = {} }: MqttMessage, data: Json): Json {
  const { contentType = null, userProperties = {} } = said;
  return { topic, qos, retain, contentType, properties: { ...userProperties }, data };
}
