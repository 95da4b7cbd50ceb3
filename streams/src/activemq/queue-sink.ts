/**
 * Sends to a queue or a topic. A delivery is done when the broker has given a receipt for every message, all of which it keeps on disk.
 * Messages have an id of their own in a header, by which a receiver knows those that come twice.
 */
import type { StompHeaders } from "@stomp/stompjs";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { outgoingOf, Unfinished } from "../resilience/outgoing.ts";
import { priorityOf, type RowPriority } from "../resilience/row-priority.ts";
import { activemqError } from "./errors.ts";
import { type StompLink, StompRefusal } from "./stomp-link.ts";

export interface QueueSinkOptions {
  /** Names the sink among all that write there: graph and node. */
  readonly id: string;
  /** Name of the destination as the protocol writes it. */
  readonly destination: string;
  readonly priority?: RowPriority | undefined;
  /** Bodies are no text. */
  readonly isBinary: boolean;
}

/** The header with a message's id. */
const ID_HEADER = "millrace-id";
/** What a broker needs to know to keep a message, and to show its body to others as what it is. */
const TEXT = { persistent: "true", "content-type": "application/json", "amq-msg-type": "text" };
const BYTES = { persistent: "true", "content-type": "application/octet-stream", "amq-msg-type": "bytes" };
/** Enough to keep a connection busy. */
const IN_FLIGHT_MAX = 1000;

export function queueSink(options: QueueSinkOptions): MessageSinkDriver<StompLink> {
  const { id: sink, destination, priority, isBinary } = options;
  const kept = isBinary ? BYTES : TEXT;
  const unfinished = new Unfinished();
  return {
    guarantee: "at-least-once",
    open: async () => undefined,
    async deliver(link, slices, encode) {
      const messages = slices
        .flatMap((slice) => outgoingOf(sink, slice, encode))
        .map(({ id, row, body }) => ({ id, body, headers: prioritized(kept, priorityOf(row, priority, noPriority)) }));
      await unfinished.finish(messages, IN_FLIGHT_MAX, (some) =>
        Promise.all(
          some.map(async ({ id, body, headers }) => {
            await link.send(destination, { ...headers, [ID_HEADER]: id }, body).catch(explained);
            unfinished.took(id);
          }),
        ),
      );
      return null;
    },
  };
}

const prioritized = (kept: StompHeaders, priority: number | undefined): StompHeaders =>
  priority === undefined ? kept : { ...kept, priority: String(priority) };

const noPriority = (text: string, field: string): Error =>
  activemqError("ACTIVEMQ-PRIORITY", text, { details: { field } });

/** A message that is too large fails however often it is sent. */
function explained(error: unknown): never {
  if (error instanceof StompRefusal && /maximum|too large|exceed/i.test(error.message))
    throw activemqError("ACTIVEMQ-TOO-LARGE", error.message, { cause: error });
  throw error;
}
