/** Addresses of brokers that have queues, and topics with durable subscriptions: their path is `/queue/<name>` or `/topic/<name>`. */
import { isShortText, needlessOfTls, type OptionCheck, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface QueueAddress extends BrokerAddress {
  readonly kind: QueueKind;
  /** Of the queue or topic, as the broker writes it. */
  readonly target: string;
}

export type QueueKind = "queue" | "topic";

/** What differs between protocols. */
export interface QueueAddressForm {
  /** Of a connection, and of an encrypted one; the latter is the same if absent. */
  readonly port: number;
  readonly tlsPort?: number;
  /** An address as it should be. */
  readonly example: string;
  /** What the path ends with: a name, an address. */
  readonly noun: string;
  /** Options of sources, and of sinks. A topic's source may name its subscription. */
  readonly read: Readonly<Record<string, OptionCheck>>;
  readonly write: Readonly<Record<string, OptionCheck>>;
}

const KINDS: readonly QueueKind[] = ["queue", "topic"];

export function parseQueueAddress(
  address: string,
  side: "source" | "sink",
  { port, tlsPort, example, noun, read, write }: QueueAddressForm,
): QueueAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, port, tlsPort);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in ${example}` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: `expected a path /queue/<${noun}> or /topic/<${noun}>, with %2F for a slash in the ${noun}` };
  const subscribing = known === "topic" && side === "source" ? { subscription: isShortText } : {};
  const options = { ...subscribing, ...(side === "source" ? read : write) };
  const fault = isShortText(target) ?? optionFault(parsed.options, options) ?? needlessOfTls(parsed.options, ["ca"]);
  return fault === undefined ? { ...parsed, kind: known, target } : { fault };
}
