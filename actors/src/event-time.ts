/** Event times as milliseconds since 1970, from what messages carry: ISO 8601 text (UTC unless it says otherwise) or numbers. */
import { type Column, cell, type Json } from "@millrace/engine";

const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** `NaN` when `value` is no time. Text without a zone is UTC, so that the same file means the same on every machine. */
export function eventTimeOf(value: Json): number {
  if (typeof value === "number") return Number.isFinite(value) ? value : Number.NaN;
  if (typeof value !== "string") return Number.NaN;
  const match = ISO.exec(value);
  if (match === null) return Number.NaN;
  return Date.parse(
    value.length > 10 && match[1] === undefined ? `${value.replace(" ", "T")}Z` : value.replace(" ", "T"),
  );
}

/** The times of a column by physical index, for as many rows as `physicalRows` says; `NaN` where there is none. */
export function eventTimesOf(column: Column, physicalRows: () => number): Float64Array {
  if (column.type === "time" && column.nulls === null) return column.values;
  const physicalCount = physicalRows();
  const times = new Float64Array(physicalCount);
  if (column.type === "dictionary") {
    const byCode = Float64Array.from(column.dictionary.values, eventTimeOf);
    for (let i = 0; i < physicalCount; i++)
      times[i] = column.nulls?.[i] === 1 ? Number.NaN : (byCode[column.codes[i] as number] as number);
    return times;
  }
  for (let i = 0; i < physicalCount; i++) {
    if (column.type === "time") times[i] = column.nulls?.[i] === 1 ? Number.NaN : (column.values[i] as number);
    else times[i] = eventTimeOf(cell(column, i));
  }
  return times;
}
