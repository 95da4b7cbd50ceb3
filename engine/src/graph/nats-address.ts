/** What a `nats:` address names: a subject, a stream or a key-value bucket of a NATS server. */
import { didYouMean } from "../expression/nearest.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";
import { parseDuration } from "./duration.ts";

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

/** Options of every address, with how their values are checked. */
const CONNECTION_OPTIONS: Readonly<Record<string, OptionCheck>> = { probe: isDuration, suspend: isDuration };

const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<NatsKind, Readonly<Record<string, OptionCheck>>>>>> =
  {
    source: {
      core: {},
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

/** What is wrong with an option's value; `undefined`: nothing. */
type OptionCheck = (value: string) => string | undefined;

/** `side`: what the node is; a source may name many subjects at once, and has other options. */
export function parseNatsAddress(address: string, side: "source" | "sink"): NatsAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in nats://127.0.0.1:4222/jetstream/ORDERS` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /core/<subject>, /jetstream/<stream or subject> or /kv/<bucket>" };
  const fault = targetFault(known, target, side) ?? optionFault(parsed.options, known, side);
  return fault === undefined ? { ...parsed, kind: known, target } : { fault };
}

function targetFault(kind: NatsKind, target: string, side: "source" | "sink"): string | undefined {
  if (kind === "kv") return NAME.test(target) ? undefined : `\`${target}\` is no name of a bucket`;
  if (kind === "jetstream" && side === "source")
    return NAME.test(target) ? undefined : `\`${target}\` is no name of a stream; its subjects go into \`filter\``;
  if (side === "sink") return SUBJECT.test(target) ? undefined : `\`${target}\` is no subject to publish to`;
  return PATTERN.test(target) ? undefined : `\`${target}\` is no subject`;
}

function optionFault(
  options: ReadonlyMap<string, string>,
  kind: NatsKind,
  side: "source" | "sink",
): string | undefined {
  const checks = { ...CONNECTION_OPTIONS, ...OPTIONS[side][kind] };
  for (const [name, value] of options) {
    const check = checks[name];
    if (check === undefined)
      return `unknown option \`${name}\`${didYouMean(name, Object.keys(checks)) || optionList(checks)}`;
    const fault = check(value);
    if (fault !== undefined) return `option \`${name}\`: ${fault}`;
  }
  return undefined;
}

const optionList = (checks: object): string => `; known are ${Object.keys(checks).join(", ")}`;

function oneOf(...values: readonly string[]): OptionCheck {
  return (value) => (values.includes(value) ? undefined : `expected ${values.join(" or ")}`);
}

function isDuration(value: string): string | undefined {
  const parsed = parseDuration(value);
  return "fault" in parsed ? parsed.fault : undefined;
}
