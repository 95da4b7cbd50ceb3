/** What an `activemq:` address names: a queue of an ActiveMQ broker, or a topic with a durable subscription. */
import { isExpression, isPrefetch, isSecureOptions, isShortText, oneOf, priorityUpTo } from "./address-options.ts";
import { parseQueueAddress, type QueueAddress, type QueueAddressForm } from "./queue-address.ts";

export type ActivemqAddress = QueueAddress;

const FORM: QueueAddressForm = {
  port: 61_613,
  tlsPort: 61_614,
  example: "activemq://127.0.0.1:61613/queue/orders",
  noun: "name",
  read: {
    prefetch: isPrefetch,
    ids: isShortText,
    selector: isExpression,
    envelope: oneOf("true", "false"),
    ...isSecureOptions,
  },
  write: { priority: priorityUpTo(9), ...isSecureOptions },
};
/** What the broker takes for a list, a pattern or options. */
const SPECIAL = { source: /[,?]/, sink: /[,?*>]/ } as const;

export function parseActivemqAddress(
  address: string,
  side: "source" | "sink",
): ActivemqAddress | { readonly fault: string } {
  const parsed = parseQueueAddress(address, side, FORM);
  if ("fault" in parsed || !SPECIAL[side].test(parsed.target)) return parsed;
  return { fault: `\`${parsed.target}\` is no name of one ${parsed.kind}` };
}
