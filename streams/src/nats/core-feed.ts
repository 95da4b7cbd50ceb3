/** A core NATS subject as a feed. What is sent while the connection is down is not seen by anybody. */
import type { Json } from "@millrace/engine";
import type { Msg, NatsConnection } from "nats";
import { type FeedDriver, takeJson } from "../resilience/resilient-feed.ts";
import { headersJson } from "./row-decoder.ts";

/** @param envelope messages are `{subject, headers, data}` */
export function coreFeed(subject: string, envelope = false): FeedDriver<NatsConnection> {
  return {
    async listen(nc, intake) {
      nc.subscribe(subject, {
        callback: (error, message) => {
          if (error === null)
            takeJson(intake, message.data, message.subject, undefined, envelope ? around(message) : undefined);
          else intake.lose(1, error.message);
        },
      });
      await nc.closed();
    },
  };
}

const around =
  ({ subject, headers }: Msg) =>
  (data: Json): Json => ({ subject, headers: headersJson(headers), data });
