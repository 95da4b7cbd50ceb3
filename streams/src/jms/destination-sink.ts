/**
 * Sends to a queue or a topic. A delivery is done when the broker has committed every message, all of which it is told to keep. Messages
 * have an id of their own in a property, by which a receiver knows those that come twice.
 */
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import { outgoingOf, Unfinished } from "../resilience/outgoing.ts";
import type { WireMessage } from "./bridge-frame.ts";
import type { BridgeLink } from "./bridge-link.ts";
import { type MessageOptions, messageOf } from "./row-message.ts";

export interface DestinationSinkOptions extends MessageOptions {
  /** Names the sink among all that write there: graph and node. */
  readonly id: string;
  readonly kind: "queue" | "topic";
  readonly name: string;
  readonly type?: string | undefined;
  /** The broker may throw a message away that nobody took in this time. 0: never. */
  readonly expiryMs: number;
}

/** Of one transaction. */
const IN_FLIGHT_MAX = 1000;
const IN_FLIGHT_BYTES_MAX = 4 * 1024 * 1024;

export function destinationSink(options: DestinationSinkOptions): MessageSinkDriver<BridgeLink> {
  const { id: sink, kind, name, body, type, expiryMs } = options;
  const unfinished = new Unfinished();
  return {
    guarantee: "at-least-once",
    open: (link) => link.sender({ kind, name, body, type, expiryMs }),
    async deliver(link, slices, encode) {
      const messages = slices
        .flatMap((slice) => outgoingOf(sink, slice, encode))
        .map((outgoing) => ({ id: outgoing.id, bytes: outgoing.body.length, message: messageOf(outgoing, options) }));
      await unfinished.finish(messages, IN_FLIGHT_MAX, async (some) => {
        for (const part of parts(some)) {
          await link.send(part.map(({ message }) => message));
          for (const { id } of part) unfinished.took(id);
        }
      });
      return null;
    },
  };
}

interface Sized {
  readonly id: string;
  readonly bytes: number;
  readonly message: WireMessage;
}

/** As many together as are not too long for one transaction; at least one. */
function parts(messages: readonly Sized[]): Sized[][] {
  const found: Sized[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    bytes += message.bytes;
    if (bytes > IN_FLIGHT_BYTES_MAX) {
      found.push([]);
      bytes = message.bytes;
    }
    found.at(-1)?.push(message);
  }
  return found;
}
