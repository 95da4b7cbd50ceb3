/** What an `amqp10:` address names: a node of a broker that speaks AMQP 1.0, to be used as a queue or as a topic. */
import {
  isSecureOptions,
  isShortText,
  type OptionCheck,
  oneOf,
  optionFault,
  priorityUpTo,
  wholeNumber,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface Amqp10Address extends BrokerAddress {
  readonly kind: Amqp10Kind;
  /** The node's address as the broker writes it. */
  readonly target: string;
}

export type Amqp10Kind = "queue" | "topic";

const PORT = 5672;
const TLS_PORT = 5671;
const KINDS: readonly Amqp10Kind[] = ["queue", "topic"];
/** A source remembers the ids of 10 000 messages; what is not acknowledged must be among them. */
const PREFETCH_MAX = 10_000;

const SHARED: Readonly<Record<string, OptionCheck>> = { hostname: isShortText, ...isSecureOptions };
const READ: Readonly<Record<string, OptionCheck>> = {
  prefetch: wholeNumber(1, PREFETCH_MAX),
  ids: oneOf("message"),
  deliveries: wholeNumber(1, 1_000_000),
  selector: (value) => (value === "" ? "expected an expression" : undefined),
  envelope: oneOf("true", "false"),
  ...SHARED,
};
/** The protocol's own range; most brokers know ten of them. */
const WRITE: Readonly<Record<string, OptionCheck>> = { priority: priorityUpTo(255), ...SHARED };
const OPTIONS: Readonly<
  Record<"source" | "sink", Readonly<Record<Amqp10Kind, Readonly<Record<string, OptionCheck>>>>>
> = {
  source: { queue: READ, topic: { subscription: isShortText, ...READ } },
  sink: { queue: WRITE, topic: WRITE },
};

export function parseAmqp10Address(
  address: string,
  side: "source" | "sink",
): Amqp10Address | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, /[?&]tls=true\b/.test(address) ? TLS_PORT : PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in amqp10://127.0.0.1:5672/queue/orders` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /queue/<address> or /topic/<address>, with %2F for a slash in the address" };
  const fault = isShortText(target) ?? optionFault(parsed.options, OPTIONS[side][known]);
  if (fault !== undefined) return { fault };
  if (parsed.options.has("ca") && parsed.options.get("tls") !== "true")
    return { fault: "option `ca` needs `tls=true`" };
  return { ...parsed, kind: known, target };
}
