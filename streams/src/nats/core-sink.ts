/**
 * Publishes to a core NATS subject. The server has taken the messages when it answers the flush behind them; it keeps nothing,
 * so who does not listen then never sees them.
 */
import type { NatsConnection } from "nats";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { refuseTooLarge } from "./jetstream-sink.ts";
import { messageOf } from "./outgoing-message.ts";

export function coreSink(subject: string): MessageSinkDriver<NatsConnection> {
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(nc, slices, encode) {
      // All of them first, so that nothing is published before one that cannot be.
      const messages = slices.flatMap(({ batch }) => batch.rows().map((row) => messageOf(encode(row))));
      for (const { body, headerBytes } of messages) refuseTooLarge(nc, body, headerBytes);
      for (const { body, said } of messages) nc.publish(subject, body, said);
      // The client forgets who waits for a flush when the connection ends.
      await Promise.race([nc.flush(), endOf(nc)]);
      return null;
    },
  };
}

async function endOf(nc: NatsConnection): Promise<never> {
  throw (await nc.closed()) ?? new Error("the connection ended before the server had taken everything");
}
