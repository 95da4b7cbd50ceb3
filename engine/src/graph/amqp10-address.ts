/** What an `amqp10:` address names: a node of a broker that speaks AMQP 1.0, to be used as a queue or as a topic. */
import {
  isExpression,
  isPrefetch,
  isSecureOptions,
  isShortText,
  oneOf,
  priorityUpTo,
  wholeNumber,
} from "./address-options.ts";
import { parseQueueAddress, type QueueAddress, type QueueAddressForm } from "./queue-address.ts";

export type Amqp10Address = QueueAddress;

const SHARED = { hostname: isShortText, ...isSecureOptions };
const FORM: QueueAddressForm = {
  port: 5672,
  tlsPort: 5671,
  example: "amqp10://127.0.0.1:5672/queue/orders",
  noun: "address",
  read: {
    prefetch: isPrefetch,
    ids: oneOf("message"),
    deliveries: wholeNumber(1, 1_000_000),
    selector: isExpression,
    envelope: oneOf("true", "false"),
    ...SHARED,
  },
  // The protocol's own range; most brokers know ten of them.
  write: { priority: priorityUpTo(255), ...SHARED },
};

export function parseAmqp10Address(
  address: string,
  side: "source" | "sink",
): Amqp10Address | { readonly fault: string } {
  return parseQueueAddress(address, side, FORM);
}
