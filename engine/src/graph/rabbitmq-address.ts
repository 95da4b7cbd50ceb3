/** What a `rabbitmq:` address names: a queue of a RabbitMQ broker, or an exchange. */
import {
  isDuration,
  isSecureOptions,
  isShortText,
  type OptionCheck,
  oneOf,
  optionFault,
  wholeNumber,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface RabbitmqAddress extends BrokerAddress {
  readonly kind: RabbitmqKind;
  /** Name of the queue or exchange. */
  readonly target: string;
}

export type RabbitmqKind = "queue" | "exchange";

const PORT = 5672;
const TLS_PORT = 5671;
const KINDS: readonly RabbitmqKind[] = ["queue", "exchange"];
/** A source remembers the ids of 10 000 messages; what is not acknowledged must be among them. */
const PREFETCH_MAX = 10_000;

const SHARED: Readonly<Record<string, OptionCheck>> = { vhost: isShortText, ...isSecureOptions };
const READ: Readonly<Record<string, OptionCheck>> = {
  prefetch: wholeNumber(1, PREFETCH_MAX),
  ids: oneOf("message"),
  deliveries: wholeNumber(1, 1_000_000),
  envelope: oneOf("true", "false"),
  ...SHARED,
};
const OPTIONS: Readonly<
  Record<"source" | "sink", Readonly<Record<RabbitmqKind, Readonly<Record<string, OptionCheck>>>>>
> = {
  source: {
    queue: READ,
    exchange: { key: isShortText, queue: isShortText, type: oneOf("quorum", "classic"), expiry: isDuration, ...READ },
  },
  sink: { queue: SHARED, exchange: { key: isShortText, ...SHARED } },
};

export function parseRabbitmqAddress(
  address: string,
  side: "source" | "sink",
): RabbitmqAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, /[?&]tls=true\b/.test(address) ? TLS_PORT : PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in rabbitmq://127.0.0.1:5672/queue/orders` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /queue/<name> or /exchange/<name>, with %2F for a slash in the name" };
  const fault = isShortText(target) ?? optionFault(parsed.options, OPTIONS[side][known]);
  if (fault !== undefined) return { fault };
  if (side === "source" && known === "exchange" && !parsed.options.has("key"))
    return { fault: "option `key`: a source needs the pattern of the messages that it wants, as in ?key=orders.%23" };
  if (parsed.options.has("ca") && parsed.options.get("tls") !== "true")
    return { fault: "option `ca` needs `tls=true`" };
  return { ...parsed, kind: known, target };
}
