/** What a `jms:` address names: a queue of a broker that has a JMS client, or a topic with a durable subscription. */
import {
  isDuration,
  isShortText,
  type OptionCheck,
  oneOf,
  optionFault,
  priorityUpTo,
  wholeNumber,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface JmsAddress extends BrokerAddress {
  readonly kind: JmsKind;
  /** Name of the queue or topic, as the vendor's client writes it. */
  readonly target: string;
}

export type JmsKind = "queue" | "topic";

/** There is none that most brokers have. */
const NO_PORT = 0;
const KINDS: readonly JmsKind[] = ["queue", "topic"];
/** A source remembers the ids of 10 000 messages; what is not acknowledged must be among them. */
const PREFETCH_MAX = 10_000;

/** The API takes names of properties that Java would take for a variable. */
const PROPERTY = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;
const isProperty: OptionCheck = (value) =>
  PROPERTY.test(value) && isShortText(value) === undefined ? undefined : "expected the name of a property";
const areProperties: OptionCheck = (value) =>
  value.split(",").every((name) => isProperty(name) === undefined)
    ? undefined
    : "expected names of fields, with commas between them, that are names of properties, too";
const isExpression: OptionCheck = (value) => (value === "" ? "expected an expression" : undefined);

const READ: Readonly<Record<string, OptionCheck>> = {
  prefetch: wholeNumber(1, PREFETCH_MAX),
  ids: isProperty,
  deliveries: wholeNumber(1, 1_000_000),
  selector: isExpression,
  envelope: oneOf("true", "false"),
};
const WRITE: Readonly<Record<string, OptionCheck>> = {
  body: oneOf("text", "bytes", "map"),
  priority: priorityUpTo(9),
  correlation: isShortText,
  properties: areProperties,
  type: isShortText,
  expiry: isDuration,
};
const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<JmsKind, Readonly<Record<string, OptionCheck>>>>>> = {
  source: { queue: READ, topic: { subscription: isShortText, ...READ } },
  sink: { queue: WRITE, topic: WRITE },
};

export function parseJmsAddress(address: string, side: "source" | "sink"): JmsAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, NO_PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in jms://mq.example:1414/queue/ORDERS` };
  const portless = parsed.endpoints.find((endpoint) => endpoint.endsWith(`:${NO_PORT}`));
  if (portless !== undefined) return { fault: `\`${portless.slice(0, -2)}\` needs a port` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /queue/<name> or /topic/<name>, with %2F for a slash in the name" };
  const fault = isShortText(target) ?? optionFault(parsed.options, OPTIONS[side][known]);
  return fault === undefined ? { ...parsed, kind: known, target } : { fault };
}
