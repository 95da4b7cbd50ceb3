/** Durations of graph files: numbers with units, largest unit first, such as `1h30m` or `250ms`. */

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];

/** Longer durations are mistakes, and their sum with a time would leave what dates can say. */
const DURATION_MS_MAX = 366 * 100 * 86_400_000;

export type DurationResult =
  | { readonly ms: number }
  | { readonly fault: string /** Offset in the text. */; readonly at: number };

/** A duration in whole milliseconds, greater than 0. */
export function parseDuration(text: string): DurationResult {
  const part = /(\d+(?:\.\d+)?)(ms|[dhms])(?![a-zµ])/y;
  let ms = 0;
  let at = 0;
  let largest = -1;
  while (at < text.length) {
    part.lastIndex = at;
    const [all = "", digits = "", unit] = part.exec(text) ?? [];
    if (unit === undefined) return { fault: faultOf(text, at), at };
    const rank = UNITS.findIndex(([name]) => name === unit);
    if (rank <= largest) return { fault: `\`${unit}\` cannot follow a unit that is not larger`, at };
    largest = rank;
    ms += product(digits, UNITS[rank]?.[1] as number);
    at += all.length;
  }
  if (text === "") return { fault: faultOf(text, 0), at: 0 };
  if (ms <= 0) return { fault: "a duration must be greater than 0", at: 0 };
  if (!Number.isInteger(ms)) return { fault: "durations are whole milliseconds", at: 0 };
  return ms > DURATION_MS_MAX ? { fault: "a duration may be at most 100 years", at: 0 } : { ms };
}

/** By whole numbers: `1.1 * 3_600_000` is none. */
function product(decimal: string, by: number): number {
  const [whole = "", fraction = ""] = decimal.split(".");
  return (Number(whole + fraction) * by) / 10 ** fraction.length;
}

function faultOf(text: string, at: number): string {
  const rest = text.slice(at);
  if (rest.startsWith("-")) return "a duration cannot be negative";
  const unitless = /^\d+(?:\.\d+)?/.exec(rest);
  if (unitless === null) return "expected a duration such as 1h30m or 250ms";
  const unit = /^\s*([a-zµ]+)/i.exec(rest.slice(unitless[0].length))?.[1];
  return unit === undefined ? "the unit is missing: d, h, m, s or ms" : `unknown unit \`${unit}\`: d, h, m, s or ms`;
}

/** The shortest text that {@link parseDuration} reads as `ms`. */
export function formatDuration(ms: number): string {
  let text = "";
  let rest = ms;
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** The milliseconds of a text that has been checked. */
export function durationMs(text: string): number {
  const result = parseDuration(text);
  if ("ms" in result) return result.ms;
  throw new RangeError(result.fault);
}
