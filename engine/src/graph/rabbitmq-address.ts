/** What a `rabbitmq:` address names: a queue of a RabbitMQ broker, a stream, or an exchange. */
import {
  isDuration,
  isPrefetch,
  isSecureOptions,
  isShortText,
  needlessOfTls,
  type OptionCheck,
  oneOf,
  optionFault,
  priorityUpTo,
  wholeNumber,
} from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface RabbitmqAddress extends BrokerAddress {
  readonly kind: RabbitmqKind;
  /** Name of the queue, stream or exchange. */
  readonly target: string;
}

/** A stream is read by its offsets; who writes to one names it as a queue. */
export type RabbitmqKind = "queue" | "exchange" | "stream";

const PORT = 5672;
const TLS_PORT = 5671;

const SHARED: Readonly<Record<string, OptionCheck>> = { vhost: isShortText, ...isSecureOptions };
const READ: Readonly<Record<string, OptionCheck>> = {
  prefetch: isPrefetch,
  ids: oneOf("message"),
  deliveries: wholeNumber(1, 1_000_000),
  envelope: oneOf("true", "false"),
  ...SHARED,
};
/** A queue has as many as its `x-max-priority` says, at most these. */
const WRITE: Readonly<Record<string, OptionCheck>> = { priority: priorityUpTo(255), ...SHARED };
const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<string, Readonly<Record<string, OptionCheck>>>>>> = {
  source: {
    queue: READ,
    exchange: { key: isShortText, queue: isShortText, type: oneOf("quorum", "classic"), expiry: isDuration, ...READ },
    stream: {
      prefetch: isPrefetch,
      envelope: oneOf("true", "false"),
      gap: oneOf("stop", "record"),
      until: oneOf("now"),
      ...SHARED,
    },
  },
  sink: { queue: WRITE, exchange: { key: isShortText, ...WRITE } },
};

export function parseRabbitmqAddress(
  address: string,
  side: "source" | "sink",
): RabbitmqAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT, TLS_PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in rabbitmq://127.0.0.1:5672/queue/orders` };
  const [kind = "", target, ...rest] = parsed.path;
  const known = Object.hasOwn(OPTIONS[side], kind) ? OPTIONS[side][kind] : undefined;
  if (known === undefined || target === undefined || rest.length > 0) return { fault: pathFault(side) };
  const fault = isShortText(target) ?? optionFault(parsed.options, known);
  if (fault !== undefined) return { fault };
  if (side === "source" && kind === "exchange" && !parsed.options.has("key"))
    return { fault: "option `key`: a source needs the pattern of the messages that it wants, as in ?key=orders.%23" };
  const needless = needlessOfTls(parsed.options, ["ca"]);
  if (needless !== undefined) return { fault: needless };
  return { ...parsed, kind: kind as RabbitmqKind, target };
}

function pathFault(side: "source" | "sink"): string {
  const forms = Object.keys(OPTIONS[side]).map((kind) => `/${kind}/<name>`);
  return `expected a path ${forms.join(" or ")}, with %2F for a slash in the name`;
}
