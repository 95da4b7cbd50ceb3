/**
 * CEL's most used functions without a detour through the library, and those of times, which the library answers by the zone of the
 * machine. Each answers `undefined` for types it does not know, and the library decides then. Keys are the calls as the library
 * would read them.
 */
import { msOfIsoText } from "../time/iso-text.ts";
import { Failed } from "./failed.ts";
import { dateIn, PARTS } from "./time-parts.ts";
import type { CelValue } from "./values.ts";

type Quick = (a: CelValue, b: CelValue, at: number) => CelValue;

const TIMESTAMP_MIN = -62_135_596_800_000;
const TIMESTAMP_MAX = 253_402_300_799_999;

/** CEL's range of timestamps, years 1 to 9999. */
export function isTimestamp(ms: number): boolean {
  return ms >= TIMESTAMP_MIN && ms <= TIMESTAMP_MAX;
}

function size(a: CelValue): CelValue {
  if (typeof a === "string") {
    let count = 0;
    for (const _ of a) count++;
    return BigInt(count);
  }
  return Array.isArray(a) ? BigInt(a.length) : undefined;
}

/** A text without a zone is UTC, as everywhere; what is no day of the calendar is no time. */
function timestamp(a: CelValue, _: CelValue, at: number): CelValue {
  if (typeof a !== "string" || a.length < 20 || a.length > 30) return undefined;
  const date = new Date(msOfIsoText(a));
  if (isTimestamp(date.getTime())) return date;
  throw new Failed("timestamp() requires a string in ISO 8601 format", at);
}

function partsOfTime(): [string, Quick][] {
  return [...PARTS].flatMap(([name, part]): [string, Quick][] => [
    [`a0.${name}()`, (a) => (a instanceof Date ? BigInt(part(a)) : undefined)],
    [
      `a0.${name}(a1)`,
      (a, b, at) => (a instanceof Date && typeof b === "string" ? BigInt(part(dateIn(a, b, at))) : undefined),
    ],
  ]);
}

function toInt(a: CelValue): CelValue {
  if (typeof a === "bigint") return a;
  return typeof a === "number" && Number.isFinite(a) ? BigInt(Math.trunc(a)) : undefined;
}

function toDouble(a: CelValue): CelValue {
  return typeof a === "number" ? a : typeof a === "bigint" ? Number(a) : undefined;
}

function ofStrings(compute: (a: string, b: string) => CelValue): Quick {
  return (a, b) => (typeof a === "string" && typeof b === "string" ? compute(a, b) : undefined);
}

function ofString(compute: (a: string) => CelValue): Quick {
  return (a) => (typeof a === "string" ? compute(a) : undefined);
}

export const FUNCTIONS: ReadonlyMap<string, Quick> = new Map<string, Quick>([
  ["size(a0)", size],
  ["a0.size()", size],
  ["timestamp(a0)", timestamp],
  ["int(a0)", toInt],
  ["double(a0)", toDouble],
  ["string(a0)", ofString((a) => a)],
  ["a0.startsWith(a1)", ofStrings((a, b) => a.startsWith(b))],
  ["a0.endsWith(a1)", ofStrings((a, b) => a.endsWith(b))],
  ["a0.contains(a1)", ofStrings((a, b) => a.includes(b))],
  ["a0.lowerAscii()", ofString((a) => a.toLowerCase())],
  ["a0.upperAscii()", ofString((a) => a.toUpperCase())],
  ["a0.trim()", ofString((a) => a.trim())],
  ...partsOfTime(),
]);
