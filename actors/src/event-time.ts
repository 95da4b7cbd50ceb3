/** Event times as milliseconds since 1970, from what messages carry: ISO 8601 text (UTC unless it says otherwise) or numbers. */
import { type Column, cell, type Dictionary, type Json, msOfIsoText } from "@millrace/engine";

/** `NaN` when `value` is no time. */
export function eventTimeOf(value: Json): number {
  if (typeof value === "number") return Number.isFinite(value) ? value : Number.NaN;
  return typeof value === "string" ? msOfIsoText(value) : Number.NaN;
}

/** Times of each dictionary's entries so far. */
const timesByDictionary = new WeakMap<Dictionary, Float64Array>();

/** The times of a column by physical index, for as many rows as `physicalRows` says; `NaN` where there is none. */
export function eventTimesOf(column: Column, physicalRows: () => number): Float64Array {
  if (column.type === "time" && column.nulls === null) return column.values;
  const times = new Float64Array(physicalRows());
  const byCode = column.type === "dictionary" ? entryTimes(column.dictionary) : undefined;
  for (let i = 0; i < times.length; i++) {
    if (column.type !== "json" && column.nulls !== null && column.nulls[i] === 1) times[i] = Number.NaN;
    else if (column.type === "time") times[i] = column.values[i] as number;
    else if (column.type === "dictionary") times[i] = byCode?.[column.codes[i] as number] ?? Number.NaN;
    else times[i] = eventTimeOf(cell(column, i));
  }
  return times;
}

/** Entries stay what they are, so only new ones are parsed. */
function entryTimes(dictionary: Dictionary): Float64Array {
  const known = timesByDictionary.get(dictionary);
  if (known !== undefined && known.length === dictionary.values.length) return known;
  const times = Float64Array.from(dictionary.values.map((value, code) => known?.[code] ?? eventTimeOf(value)));
  timesByDictionary.set(dictionary, times);
  return times;
}
