/** Times as texts say them, in one way for all who read them: sources, windows, and people who name a time. */

/** A year, month, date or date and time. `Date.parse` finds times in nearly any text ("hello 3"), by the zone of the machine. */
const ISO = /^\d{4}(?:-\d{2}(?:-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|z|[+-]\d{2}:?\d{2})?)?)?)?$/;
const DATE_CHARS = 10;
/** Days that every month has. */
const DAYS_MIN = 28;

/** Ms since 1970 of an ISO 8601 text; `NaN` where it is none. Without a zone it is UTC, so that the same file means the same on every machine. */
export function msOfIsoText(text: string): number {
  const match = ISO.exec(text);
  if (match === null || !isDay(text)) return Number.NaN;
  const isZoneless = text.length > DATE_CHARS && match[1] === undefined;
  return Date.parse(isZoneless ? `${text.replace(" ", "T")}Z` : text);
}

/** `Date.parse` takes 30 February for 2 March. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= DAYS_MIN) return true;
  // The calendar repeats every 400 years; years below 100 would be taken for those of the last century.
  const year = 2000 + (Number(text.slice(0, 4)) % 400);
  return day <= new Date(Date.UTC(year, Number(text.slice(5, 7)), 0)).getUTCDate();
}
