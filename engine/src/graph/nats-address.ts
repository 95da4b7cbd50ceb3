/** What a `nats:` address names: a subject, a stream or a key-value bucket of a NATS server. */
import { isSecureOptions, needlessOfTls, type OptionCheck, oneOf, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface NatsAddress extends BrokerAddress {
  readonly kind: NatsKind;
  /** Subject for `core`, stream (of a source) or subject (of a sink) for `jetstream`, bucket for `kv`. */
  readonly target: string;
}

export type NatsKind = "core" | "jetstream" | "kv";

const PORT = 4222;
const KINDS: readonly NatsKind[] = ["core", "jetstream", "kv"];
const SUBJECT = /^[^\s.*>]+(?:\.[^\s.*>]+)*$/;
const PATTERN = /^(?:[^\s.>]+\.)*(?:[^\s.>]+|>)$/;
const NAME = /^[A-Za-z0-9_-]+$/;

const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<NatsKind, Readonly<Record<string, OptionCheck>>>>>> =
  {
    source: {
      core: { envelope: oneOf("true", "false") },
      jetstream: {
        filter: (value) => (PATTERN.test(value) ? undefined : "expected a subject"),
        gap: oneOf("stop", "record"),
        until: oneOf("now"),
        envelope: oneOf("true", "false"),
      },
      kv: { until: oneOf("now") },
    },
    sink: { core: {}, jetstream: {}, kv: {} },
  };

/** `side`: what the node is; a source may name many subjects at once, and has other options. */
export function parseNatsAddress(address: string, side: "source" | "sink"): NatsAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in nats://127.0.0.1:4222/jetstream/ORDERS` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /core/<subject>, /jetstream/<stream or subject> or /kv/<bucket>" };
  const options = { ...OPTIONS[side][known], ...isSecureOptions };
  const fault =
    targetFault(known, target, side) ?? optionFault(parsed.options, options) ?? needlessOfTls(parsed.options, ["ca"]);
  return fault === undefined ? { ...parsed, kind: known, target } : { fault };
}

/** What is wrong with the options of servers that edges lead over; `undefined`: nothing. */
export function natsEdgesFault({ options }: BrokerAddress): string | undefined {
  return optionFault(options, isSecureOptions) ?? needlessOfTls(options, ["ca"]);
}

function targetFault(kind: NatsKind, target: string, side: "source" | "sink"): string | undefined {
  if (kind === "kv") return NAME.test(target) ? undefined : `\`${target}\` is no name of a bucket`;
  if (kind === "jetstream" && side === "source")
    return NAME.test(target) ? undefined : `\`${target}\` is no name of a stream; its subjects go into \`filter\``;
  if (side === "sink") return SUBJECT.test(target) ? undefined : `\`${target}\` is no subject to publish to`;
  return PATTERN.test(target) ? undefined : `\`${target}\` is no subject`;
}
