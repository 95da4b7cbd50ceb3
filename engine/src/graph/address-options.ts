/** Options of addresses, `?name=value&…`: which there are, and what their values may be. */
import { didYouMean } from "../expression/nearest.ts";
import { parseDuration } from "./duration.ts";

/** What is wrong with an option's value; `undefined`: nothing. */
export type OptionCheck = (value: string) => string | undefined;

/** Options that every address of a connection has. */
const CONNECTION_OPTIONS: Readonly<Record<string, OptionCheck>> = { probe: isDuration, suspend: isDuration };

/** The first option that is unknown, or whose value is wrong. */
export function optionFault(
  options: ReadonlyMap<string, string>,
  known: Readonly<Record<string, OptionCheck>>,
): string | undefined {
  const checks = new Map(Object.entries({ ...CONNECTION_OPTIONS, ...known }));
  const names = [...checks.keys()];
  for (const [name, value] of options) {
    const check = checks.get(name);
    if (check === undefined)
      return `unknown option \`${name}\`${didYouMean(name, names) || `; known are ${names.join(", ")}`}`;
    const fault = check(value);
    if (fault !== undefined) return `option \`${name}\`: ${fault}`;
  }
  return undefined;
}

export function oneOf(...values: readonly string[]): OptionCheck {
  return (value) => (values.includes(value) ? undefined : `expected ${values.join(" or ")}`);
}

export function isDuration(value: string): string | undefined {
  const parsed = parseDuration(value);
  return "fault" in parsed ? parsed.fault : undefined;
}

/** A number without a fraction, from `min` to `max`. */
export function wholeNumber(min: number, max: number): OptionCheck {
  return (value) =>
    /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `expected a whole number from ${min} to ${max}`;
}

/** Of a broker that waits for receipts: a source remembers the ids of 10 000 messages; what is not acknowledged must be among them. */
export const isPrefetch: OptionCheck = wholeNumber(1, 10_000);

export const isExpression: OptionCheck = (value) => (value === "" ? "expected an expression" : undefined);

export const isFile: OptionCheck = (value) => (value === "" ? "expected the path of a file" : undefined);

/** Options of connections that can be encrypted: `ca` is the path of a file with the certificates that are trusted. */
export const isSecureOptions: Readonly<Record<string, OptionCheck>> = { tls: oneOf("true", "false"), ca: isFile };

/** The first option that makes sense with an encrypted connection only, where it is none. */
export function needlessOfTls(options: ReadonlyMap<string, string>, names: readonly string[]): string | undefined {
  const needless = options.get("tls") === "true" ? undefined : names.find((name) => options.has(name));
  return needless === undefined ? undefined : `option \`${needless}\` needs \`tls=true\``;
}

const SHORT_BYTES_MAX = 255;

/** Names that protocols keep short. */
export function isShortText(value: string): string | undefined {
  const isShort = value !== "" && new TextEncoder().encode(value).length <= SHORT_BYTES_MAX;
  return isShort ? undefined : "expected a text of 1 to 255 bytes";
}

/** A priority that all messages have, or the field of a row that holds it; 0 is the least. */
export const priorityUpTo =
  (most: number): OptionCheck =>
  (value) => {
    if (!/^[+-]?\d/.test(value)) return isShortText(value);
    const is = /^\d{1,3}$/.test(value) && Number(value) <= most;
    return is ? undefined : `expected a priority from 0 to ${most}, or the name of a field`;
  };
