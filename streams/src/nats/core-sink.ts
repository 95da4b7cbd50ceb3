/**
 * Publishes to a core NATS subject. The server has taken the messages when it answers the flush behind them; it keeps nothing,
 * so who does not listen then never sees them.
 */
import type { NatsConnection } from "nats";
import type { EventMode } from "../format/event-message.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import { refuseTooLarge } from "./jetstream-sink.ts";
import { messageOf } from "./outgoing-message.ts";

/** @param events absent: rows are any JSON */
export function coreSink(subject: string, events?: EventMode): SinkDriver<NatsConnection> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(nc, slices) {
      for (const row of slices.flatMap(({ batch }) => batch.rows())) {
        const { body, said, headerBytes } = messageOf(row, events);
        refuseTooLarge(nc, body, headerBytes);
        nc.publish(subject, body, said);
      }
      // The client forgets who waits for a flush when the connection ends.
      await Promise.race([nc.flush(), endOf(nc)]);
      return null;
    },
  };
}

async function endOf(nc: NatsConnection): Promise<never> {
  throw (await nc.closed()) ?? new Error("the connection ended before the server had taken everything");
}
