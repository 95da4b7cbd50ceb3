/** Publishes to a topic. With quality of service 1 or 2 the broker has said that it took every message. */
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import type { MqttLink } from "./mqtt-link.ts";

export interface TopicSinkOptions {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  /** The broker keeps the last message for who comes later. */
  readonly retain: boolean;
}

/** Enough to keep a connection busy. */
const IN_FLIGHT_MAX = 1000;

export function topicSink({ topic, qos, retain }: TopicSinkOptions): SinkDriver<MqttLink> {
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
          .map((row) => link.client.publishAsync(topic, JSON.stringify(row), { qos, retain }));
        await Promise.race([Promise.all(sent), broken]);
      }
      return null;
    },
  };
}
