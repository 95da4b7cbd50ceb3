/** What an `activemq:` address names: a queue of an ActiveMQ broker, or a topic with a durable subscription. */
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

export interface ActivemqAddress extends BrokerAddress {
  readonly kind: ActivemqKind;
  /** Name of the queue or topic. */
  readonly target: string;
}

export type ActivemqKind = "queue" | "topic";

const PORT = 61_613;
const TLS_PORT = 61_614;
const KINDS: readonly ActivemqKind[] = ["queue", "topic"];
/** A source remembers the ids of 10 000 messages; what is not acknowledged must be among them. */
const PREFETCH_MAX = 10_000;
/** What the broker takes for a list, a pattern or options. */
const SPECIAL = { source: /[,?]/, sink: /[,?*>]/ } as const;

const READ: Readonly<Record<string, OptionCheck>> = {
  prefetch: wholeNumber(1, PREFETCH_MAX),
  ids: isShortText,
  selector: (value) => (value === "" ? "expected an expression" : undefined),
  envelope: oneOf("true", "false"),
  ...isSecureOptions,
};
const WRITE: Readonly<Record<string, OptionCheck>> = { priority: priorityUpTo(9), ...isSecureOptions };
const OPTIONS: Readonly<
  Record<"source" | "sink", Readonly<Record<ActivemqKind, Readonly<Record<string, OptionCheck>>>>>
> = {
  source: { queue: READ, topic: { subscription: isShortText, ...READ } },
  sink: { queue: WRITE, topic: WRITE },
};

export function parseActivemqAddress(
  address: string,
  side: "source" | "sink",
): ActivemqAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, /[?&]tls=true\b/.test(address) ? TLS_PORT : PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in activemq://127.0.0.1:61613/queue/orders` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /queue/<name> or /topic/<name>, with %2F for a slash in the name" };
  const fault = isShortText(target) ?? optionFault(parsed.options, OPTIONS[side][known]);
  if (fault !== undefined) return { fault };
  if (SPECIAL[side].test(target)) return { fault: `\`${target}\` is no name of one ${known}` };
  if (parsed.options.has("ca") && parsed.options.get("tls") !== "true")
    return { fault: "option `ca` needs `tls=true`" };
  return { ...parsed, kind: known, target };
}
