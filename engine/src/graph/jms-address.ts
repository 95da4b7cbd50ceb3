/** What a `jms:` address names: a queue of a broker that has a JMS client, or a topic with a durable subscription. */
import {
  isDuration,
  isExpression,
  isPrefetch,
  isShortText,
  type OptionCheck,
  oneOf,
  priorityUpTo,
  wholeNumber,
} from "./address-options.ts";
import { parseQueueAddress, type QueueAddress, type QueueAddressForm } from "./queue-address.ts";

export type JmsAddress = QueueAddress;

/** There is none that most brokers have. */
const NO_PORT = 0;

/** The API takes names of properties that Java would take for a variable. */
const PROPERTY = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;
const isProperty: OptionCheck = (value) =>
  PROPERTY.test(value) && isShortText(value) === undefined ? undefined : "expected the name of a property";
const areProperties: OptionCheck = (value) =>
  value.split(",").every((name) => isProperty(name) === undefined)
    ? undefined
    : "expected names of fields, with commas between them, that are names of properties, too";

const FORM: QueueAddressForm = {
  port: NO_PORT,
  example: "jms://mq.example:1414/queue/ORDERS",
  noun: "name",
  read: {
    prefetch: isPrefetch,
    ids: isProperty,
    deliveries: wholeNumber(1, 1_000_000),
    selector: isExpression,
    envelope: oneOf("true", "false"),
  },
  write: {
    body: oneOf("text", "bytes", "map"),
    priority: priorityUpTo(9),
    correlation: isShortText,
    properties: areProperties,
    type: isShortText,
    expiry: isDuration,
  },
};

export function parseJmsAddress(address: string, side: "source" | "sink"): JmsAddress | { readonly fault: string } {
  const parsed = parseQueueAddress(address, side, FORM);
  if ("fault" in parsed) return parsed;
  const portless = parsed.endpoints.find((endpoint) => endpoint.endsWith(`:${NO_PORT}`));
  return portless === undefined ? parsed : { fault: `\`${portless.slice(0, -2)}\` needs a port` };
}
