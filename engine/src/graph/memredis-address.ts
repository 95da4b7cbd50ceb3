/** What a `memredis:` address names: a stream or a channel of the Redis in the process, `memredis:stream/orders`. */
import { type OptionCheck, oneOf, optionFault } from "./address-options.ts";

export interface MemredisAddress {
  readonly kind: "stream" | "channel";
  /** Key of a stream, name of a channel. */
  readonly target: string;
  readonly options: ReadonlyMap<string, string>;
}

type Side = "source" | "sink";

const FORM = /^(stream|channel)\/([^/?#]+)(?:\?([^#]*))?$/;
const isFilled: OptionCheck = (value) => (value === "" ? "expected the name of a field" : undefined);
/** As those of `redis:`. */
const OPTIONS: Readonly<
  Record<Side, Readonly<Record<MemredisAddress["kind"], Readonly<Record<string, OptionCheck>>>>>
> = {
  source: { stream: { field: isFilled, gap: oneOf("stop", "record"), until: oneOf("now") }, channel: {} },
  sink: { stream: { field: isFilled }, channel: {} },
};

export function parseMemredisAddress(address: string, side: Side): MemredisAddress | { readonly fault: string } {
  const [, kind, target = "", query = ""] = FORM.exec(address) ?? [];
  if (kind !== "stream" && kind !== "channel")
    return { fault: "expected stream/<key> or channel/<name>, as in memredis:stream/orders" };
  const options = new Map(new URLSearchParams(query));
  const fault = optionFault(options, OPTIONS[side][kind]);
  return fault === undefined ? { kind, target, options } : { fault };
}
