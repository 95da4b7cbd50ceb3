/** Parts of timestamps as CEL counts them, the same on every machine: the library's depend on the zone and the clock changes of its own. */
import { messageOf } from "../errors.ts";
import { Failed } from "./failed.ts";

const DAY_MS = 86_400_000;

/** Of a date's UTC fields. */
export const PARTS: ReadonlyMap<string, (date: Date) => number> = new Map([
  ["getFullYear", (date) => date.getUTCFullYear()],
  ["getMonth", (date) => date.getUTCMonth()],
  ["getDate", (date) => date.getUTCDate()],
  ["getDayOfMonth", (date) => date.getUTCDate() - 1],
  ["getDayOfYear", dayOfYear],
  ["getDayOfWeek", (date) => date.getUTCDay()],
  ["getHours", (date) => date.getUTCHours()],
  ["getMinutes", (date) => date.getUTCMinutes()],
  ["getSeconds", (date) => date.getUTCSeconds()],
  ["getMilliseconds", (date) => date.getUTCMilliseconds()],
]);

function dayOfYear(date: Date): number {
  const start = new Date(date).setUTCMonth(0, 1);
  return Math.round((date.getTime() - start) / DAY_MS);
}

/** Zones of messages: there are some hundreds, and a name may be written in many ways. */
const FORMATS_MAX = 1024;
const formats = new Map<string, Intl.DateTimeFormat>();

/** The date whose UTC fields are those that a clock in the zone shows. */
export function dateIn(date: Date, timeZone: string, at: number): Date {
  const shown = new Map(
    formatOf(timeZone, at)
      .formatToParts(date)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const of = (type: Intl.DateTimeFormatPartTypes): number => shown.get(type) as number;
  const local = new Date(0);
  // `Date.UTC` takes years below 100 for those of the last century.
  local.setUTCFullYear(of("year"), of("month") - 1, of("day"));
  local.setUTCHours(of("hour"), of("minute"), of("second"), date.getUTCMilliseconds());
  return local;
}

function formatOf(timeZone: string, at: number): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = newFormat(timeZone, at);
  if (formats.size >= FORMATS_MAX) formats.clear();
  formats.set(timeZone, made);
  return made;
}

function newFormat(timeZone: string, at: number): Intl.DateTimeFormat {
  const number = "numeric";
  const fields = { year: number, month: number, day: number, hour: number, minute: number, second: number } as const;
  try {
    return new Intl.DateTimeFormat("en-US", { ...fields, timeZone, hourCycle: "h23" });
  } catch (thrown) {
    throw new Failed(messageOf(thrown), at);
  }
}
