/** Publishes to a topic. With quality of service 1 or 2 the broker has said that it took every message. */
import type { Json } from "@millrace/engine";
import type { IClientPublishOptions } from "mqtt";
import { type EventMode, messageParts } from "../format/event-message.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import type { MqttLink } from "./mqtt-link.ts";

export interface TopicSinkOptions {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** The broker keeps the last message for who comes later. */
  readonly retain: boolean;
  /** Rows are events, in this mode. */
  readonly events?: EventMode | undefined;
}

/** Enough to keep a connection busy. */
const IN_FLIGHT_MAX = 1000;

export function topicSink({ topic, qos, retain, events }: TopicSinkOptions): SinkDriver<MqttLink> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(link, slices) {
      const rows = slices.flatMap(({ batch }) => batch.rows());
      const step = Math.min(link.sendMax, IN_FLIGHT_MAX);
      const broken = link.ended.then((error) => {
        throw error ?? new Error("the connection ended before the broker had taken everything");
      });
      broken.catch(() => undefined);
      for (let from = 0; from < rows.length; from += step) {
        const sent = rows
          .slice(from, from + step)
          .map((row) => messageOf(row, events))
          .map(({ body, options }) => link.client.publishAsync(topic, body, { qos, retain, ...options }));
        await Promise.race([Promise.all(sent), broken]);
      }
      return null;
    },
  };
}

/** Attributes of an event are properties by their own names. */
function messageOf(row: Json, events: EventMode | undefined): { body: Buffer; options: IClientPublishOptions } {
  const { body, contentType, attributes } = messageParts(row, events);
  if (events === undefined) return { body, options: {} };
  const type = contentType === undefined ? {} : { contentType };
  // The client writes no properties at all in a way that brokers do not understand.
  const user = events === "structured" ? {} : { userProperties: { ...attributes } };
  return { body, options: { properties: { ...type, ...user } } };
}
