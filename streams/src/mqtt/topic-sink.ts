/** Publishes to a topic. With quality of service 1 or 2 the broker has said that it took every message. */
import type { IClientPublishOptions } from "mqtt";
import type { MessageParts } from "../format/message-parts.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import type { MqttLink } from "./mqtt-link.ts";

export interface TopicSinkOptions {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** The broker keeps the last message for who comes later. */
  readonly retain: boolean;
}

/** Enough to keep a connection busy. */
const IN_FLIGHT_MAX = 1000;

export function topicSink({ topic, qos, retain }: TopicSinkOptions): MessageSinkDriver<MqttLink> {
  return {
    // With quality of service 0 the broker says nothing: what is on its way when a link is cut is lost.
    guarantee: qos === 0 ? "best-effort" : "at-least-once",
    open: async () => undefined,
    async deliver(link, slices, encode) {
      // All of them first, so that nothing is published before one that cannot be.
      const messages = slices.flatMap(({ batch }) => batch.rows().map(encode));
      const step = Math.min(link.sendMax, IN_FLIGHT_MAX);
      const broken = link.ended.then((error) => {
        throw error ?? new Error("the connection ended before the broker had taken everything");
      });
      broken.catch(() => undefined);
      for (let from = 0; from < messages.length; from += step) {
        const sent = messages
          .slice(from, from + step)
          .map((parts) => link.client.publishAsync(topic, parts.body, { qos, retain, ...propertiesOf(parts) }));
        await Promise.race([Promise.all(sent), broken]);
      }
      return null;
    },
  };
}

/** Attributes of an event are properties by their own names. */
function propertiesOf({ contentType, attributes, event }: MessageParts): IClientPublishOptions {
  if (event === undefined) return {};
  const type = contentType === undefined ? {} : { contentType };
  // The client writes no properties at all in a way that brokers do not understand.
  const user = event === "structured" ? {} : { userProperties: { ...attributes } };
  return { properties: { ...type, ...user } };
}
