/**
 * The messages of a queue, or of a topic's durable subscription, as a feed. The broker keeps what is not acknowledged, and sends it again
 * to whoever comes next when the connection has ended; an acknowledgement counts on that connection only. A message keeps the id that the
 * broker gave it, so what became durable before its acknowledgement was lost is known when it comes again.
 */
import type { FeedReceipt, Json } from "@millrace/engine";
import type { IMessage, StompHeaders } from "@stomp/stompjs";
import type { FeedDriver } from "../resilience/resilient-feed.ts";
import { type StompLink, StompRefusal } from "./stomp-link.ts";

export interface QueueFeedOptions {
  /** Name of the destination as the protocol writes it, `/queue/…` or `/topic/…`. */
  readonly destination: string;
  /** How many may be sent before one of them is acknowledged. */
  readonly prefetch: number;
  /** Header with the sender's own id; no two messages have one. Absent: the broker's id. */
  readonly idHeader?: string;
  /** Which messages are wanted, as JMS writes it. */
  readonly selector?: string;
  /** Of a topic: what was sent is kept under this name while nobody listens. */
  readonly subscription?: string;
  /** Messages are `{destination, id, priority, redelivered, headers, data}`. */
  readonly envelope: boolean;
}

/** Of a message whose sender says nothing. */
const PRIORITY = 4;
const BROKER_ID = "message-id";
/** Headers that say what the envelope says, or that are the protocol's own. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  BROKER_ID,
  "ack",
  "content-length",
  "destination",
  "redelivered",
  "subscription",
]);

export function queueFeed(options: QueueFeedOptions): FeedDriver<StompLink> {
  const { destination, envelope } = options;
  return {
    capabilities: { ordered: true, pause: true, nack: true },
    subscribes: true,
    resends: true,
    async listen(link, intake, heard) {
      const subscribed = link.subscribe(destination, subscriptionHeaders(options), (message) => {
        const receipt = receiptOf(link, message, options.idHeader);
        intake.takeBody(message.binaryBody, destination, receipt, envelope ? envelopeOf(message) : undefined);
      });
      // Its failure is the end of the connection.
      subscribed.then(heard, () => undefined);
      const reason = await link.ended;
      if (reason instanceof StompRefusal) throw reason;
    },
  };
}

function subscriptionHeaders({ prefetch, selector, subscription }: QueueFeedOptions): StompHeaders {
  return {
    "activemq.prefetchSize": String(prefetch),
    ...(selector === undefined ? {} : { selector }),
    ...(subscription === undefined ? {} : { "activemq.subscriptionName": subscription }),
  };
}

function receiptOf(link: StompLink, message: IMessage, idHeader: string | undefined): FeedReceipt {
  const id = (idHeader === undefined ? undefined : message.headers[idHeader]) ?? message.headers[BROKER_ID];
  return {
    ...(id === undefined || id === "" ? {} : { id }),
    settle: () => link.acknowledge(message),
  };
}

function envelopeOf({ headers }: IMessage): (data: Json) => Json {
  const others = Object.entries(headers).filter(([name]) => !OWN_HEADERS.has(name));
  return (data) => ({
    destination: headers.destination ?? null,
    id: headers[BROKER_ID] ?? null,
    // The broker leaves out what is as usual.
    priority: Number(headers.priority ?? PRIORITY),
    redelivered: headers.redelivered === "true",
    headers: Object.fromEntries(others),
    data,
  });
}
