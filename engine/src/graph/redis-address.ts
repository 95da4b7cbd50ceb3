/** What a `redis:` address names: a stream, a channel or the keys with a prefix of a Redis server. */
import { isSecureOptions, needlessOfTls, type OptionCheck, oneOf, optionFault } from "./address-options.ts";
import { type BrokerAddress, parseBrokerAddress } from "./broker-address.ts";

export interface RedisAddress extends BrokerAddress {
  readonly kind: RedisKind;
  /** Key of a stream, name of a channel, what keys begin with. */
  readonly target: string;
}

export type RedisKind = "stream" | "channel" | "key";

const PORT = 6379;
const KINDS: readonly RedisKind[] = ["stream", "channel", "key"];
const isDatabase: OptionCheck = (value) => (/^\d{1,4}$/.test(value) ? undefined : "expected a number of a database");
const isFilled: OptionCheck = (value) => (value === "" ? "expected the name of a field" : undefined);

const OPTIONS: Readonly<Record<"source" | "sink", Readonly<Record<RedisKind, Readonly<Record<string, OptionCheck>>>>>> =
  {
    source: {
      stream: { db: isDatabase, field: isFilled, gap: oneOf("stop", "record"), until: oneOf("now") },
      channel: { db: isDatabase },
      key: { db: isDatabase, until: oneOf("now") },
    },
    sink: {
      stream: { db: isDatabase, field: isFilled },
      channel: { db: isDatabase },
      key: { db: isDatabase },
    },
  };

export function parseRedisAddress(address: string, side: "source" | "sink"): RedisAddress | { readonly fault: string } {
  const parsed = parseBrokerAddress(address, PORT);
  if ("fault" in parsed) return { fault: `${parsed.fault}, as in redis://127.0.0.1:6379/stream/orders` };
  const [kind, target, ...rest] = parsed.path;
  const known = KINDS.find((candidate) => candidate === kind);
  if (known === undefined || target === undefined || rest.length > 0)
    return { fault: "expected a path /stream/<key>, /channel/<name> or /key/<prefix>" };
  const options = { ...OPTIONS[side][known], ...isSecureOptions };
  const fault = optionFault(parsed.options, options) ?? needlessOfTls(parsed.options, ["ca"]);
  return fault === undefined ? { ...parsed, kind: known, target } : { fault };
}
