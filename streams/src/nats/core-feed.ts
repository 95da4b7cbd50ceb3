/** A core NATS subject as a feed. What is sent while the connection is down is not seen by anybody. */
import type { Json } from "@millrace/engine";
import type { Msg, NatsConnection } from "nats";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { headersJson } from "./row-decoder.ts";

/** @param envelope messages are `{subject, headers, data}` */
export function coreFeed(subject: string, envelope = false): FeedDriver<NatsConnection> {
  return {
    subscribes: true,
    async listen(nc, intake, heard) {
      let refusal: Error | undefined;
      const refused = new Promise<void>((resolve) => {
        nc.subscribe(subject, {
          callback: (error, message) => {
            if (error === null)
              intake.takeBody(message.data, message.subject, undefined, envelope ? around(message) : undefined);
            else {
              refusal = error;
              resolve();
            }
          },
        });
      });
      // The server answers in order: it has the subscription, or has refused it before.
      await nc.flush();
      if (refusal === undefined) heard();
      await Promise.race([refused, nc.closed()]);
      if (refusal !== undefined) throw refusal;
    },
  };
}

const around =
  ({ subject, headers }: Msg) =>
  (data: Json): Json => ({ subject, headers: headersJson(headers), data });
