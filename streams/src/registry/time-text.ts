/** Times of schemas as ISO 8601, with as many digits of a second as the schema has: 3, 6 or 9. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";
import { shown } from "./whole-number.ts";

export type Digits = 0 | 3 | 6 | 9;

const DAY_S = 86_400n;
/** Days that `Date` can represent, either side of 1970. */
const DAYS_MAX = 100_000_000n;

/** The largest whole number that is not larger. */
function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

const perSecond = (digits: Digits): bigint => 10n ** BigInt(digits);

/** `2026-01-02`, of days since 1970. @throws ValueFault no calendar goes that far */
export function dateText(days: bigint): string {
  if (days < -DAYS_MAX || days > DAYS_MAX) throw new ValueFault(`day ${days} is beyond every calendar`);
  return new Date(Number(days) * 86_400_000).toISOString().split("T", 1)[0] as string;
}

/** `03:04:05.678`, of units since midnight. */
export function clockText(units: bigint, digits: Digits): string {
  const seconds = floorDiv(units, perSecond(digits));
  if (units < 0n || seconds >= DAY_S) throw new ValueFault(`${units} is no time of a day`);
  const two = (n: bigint): string => String(n).padStart(2, "0");
  const fraction = digits === 0 ? "" : `.${String(units % perSecond(digits)).padStart(digits, "0")}`;
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${fraction}`;
}

/** `2026-01-02T03:04:05.678`, of units since 1970; with a `Z` behind it where it is an instant. */
export function instantText(units: bigint, digits: Digits, zone: "Z" | ""): string {
  const days = floorDiv(units, DAY_S * perSecond(digits));
  return `${dateText(days)}T${clockText(units - days * DAY_S * perSecond(digits), digits)}${zone}`;
}

const DATE = /^(?:[+-]\d{6}|\d{4})-\d\d-\d\d$/;
const CLOCK = /^(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?$/;

/** A text as {@link dateText} gives it, or a number of days. @throws ValueFault */
export function daysOf(value: Json | undefined): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  const ms = typeof value === "string" && DATE.test(value) ? Date.parse(`${value}T00:00:00Z`) : Number.NaN;
  // A day that a month does not have is another day, or none.
  if (Number.isNaN(ms) || dateText(BigInt(ms / 86_400_000)) !== value)
    throw new ValueFault(`expected a date as 2026-01-02, got ${shown(value)}`);
  return BigInt(ms / 86_400_000);
}

/** A text as {@link clockText} gives it, or a number of units. @throws ValueFault */
export function clockOf(value: Json | undefined, digits: Digits): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  const [, hours, minutes, seconds = "0", fraction = ""] = typeof value === "string" ? (CLOCK.exec(value) ?? []) : [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59)
    throw new ValueFault(`expected a time as 03:04:05.678, got ${shown(value)}`);
  if (/[1-9]/.test(fraction.slice(digits))) throw new ValueFault(`${shown(value)} has more than ${digits} digits`);
  const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return BigInt(whole) * perSecond(digits) + BigInt(fraction.slice(0, digits).padEnd(digits, "0") || "0");
}

const INSTANT = /^([^T]+)T([0-9:.,]+)(?:(Z)|([+-])(\d\d):(\d\d))?$/;

/** A text as {@link instantText} gives it, or a number of units. An offset is taken into account. @throws ValueFault */
export function instantOf(value: Json | undefined, digits: Digits, zone: "Z" | ""): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  const [, date, clock, z, sign, hours = "0", minutes = "0"] =
    typeof value === "string" ? (INSTANT.exec(value) ?? []) : [];
  const isZoned = z !== undefined || sign !== undefined;
  if (date === undefined || clock === undefined || isZoned !== (zone === "Z"))
    throw new ValueFault(`expected a time as 2026-01-02T03:04:05.678${zone}, got ${shown(value)}`);
  const offset = BigInt(Number(hours) * 3600 + Number(minutes) * 60) * (sign === "-" ? -1n : 1n);
  return (daysOf(date) * DAY_S - offset) * perSecond(digits) + clockOf(clock, digits);
}
