/** A core NATS subject as a feed. What is sent while the connection is down is not seen by anybody. */
import type { NatsConnection } from "nats";
import { type FeedDriver, takeJson } from "../resilience/resilient-feed.ts";

export function coreFeed(subject: string): FeedDriver<NatsConnection> {
  return {
    async listen(nc, intake) {
      nc.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) takeJson(intake, message.data, message.subject);
          else intake.lose(1, error.message);
        },
      });
      await nc.closed();
    },
  };
}
