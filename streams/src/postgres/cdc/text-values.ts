/**
 * Values as the server writes them in text, as what `row_to_json` would say of them, so that a column has one form however it is
 * read. The session that the texts come from has UTC and ISO formats.
 */
import type { Json } from "@millrace/engine";
import { parse as parseArray } from "postgres-array";

export type FromText = (text: string) => Json;

const asText: FromText = (text) => text;
/** JSON has no other numbers: `NaN` and the infinities stay texts. */
const asNumber: FromText = (text) => {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
};
const asBoolean: FromText = (text) => text === "t";
const asJson: FromText = (text) => JSON.parse(text) as Json;
const asTimestamp = (text: string): string => text.replace(" ", "T");
/** An offset has minutes in JSON: `+00` becomes `+00:00`. */
const asZoned: FromText = (text) => asTimestamp(text).replace(/([+-]\d\d)(?= BC$|$)/, "$1:00");

/** By oid: `select oid, typname from pg_type`. Dates, times, bytes, intervals and all others are as the server writes them. */
export const SCALARS: ReadonlyMap<number, FromText> = new Map([
  [16, asBoolean],
  ...[20, 21, 23, 700, 701, 1700].map((oid): [number, FromText] => [oid, asNumber]),
  ...[114, 3802].map((oid): [number, FromText] => [oid, asJson]),
  [1114, asTimestamp],
  [1184, asZoned],
]);

export const TEXT: FromText = asText;

export function arrayOf(element: FromText): FromText {
  return (text) => parseArray(text, element) as Json;
}
