/** How values of columns become JSON, and JSON becomes values. */
import type { Json } from "@millrace/engine";
import type { TableShape } from "../sql/table.ts";
import type { RawRow } from "./session.ts";

type Form = (bytes: Buffer) => Json;

const asNumber: Form = (bytes) => Number(bytes.toString());
const asText: Form = (bytes) => bytes.toString();
const asBase64: Form = (bytes) => bytes.toString("base64");

const FORMS: ReadonlyMap<string, Form> = new Map([
  ...["tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"].map(
    (type) => [type, asNumber] as const,
  ),
  ...["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "linestring"].map(
    (type) => [type, asBase64] as const,
  ),
  ...["polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"].map(
    (type) => [type, asBase64] as const,
  ),
  ["bit", (bytes) => Number(BigInt(`0x${bytes.toString("hex") || "0"}`))],
  ["json", (bytes) => JSON.parse(bytes.toString()) as Json],
  ["datetime", (bytes) => bytes.toString().replace(" ", "T")],
  // Sessions are in UTC.
  ["timestamp", (bytes) => `${bytes.toString().replace(" ", "T")}Z`],
]);

/** Makes rows of a table JSON. */
export function rowForm({ columns }: TableShape): (row: RawRow) => Json {
  const forms = [...columns].map(([name, { type }]) => [name, FORMS.get(type) ?? asText] as const);
  return (row) =>
    Object.fromEntries(
      forms.map(([name, form]) => {
        const bytes = row[name] ?? null;
        return [name, bytes === null ? null : form(bytes)];
      }),
    );
}

const BINARY: ReadonlySet<string> = new Set(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"]);
const ZONED = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** A value as the server takes it for a column of this type. */
export function sqlValue(value: Json, type: string): string | number | Buffer | null {
  if (value === null) return null;
  if (type === "json") return JSON.stringify(value);
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "string") return value;
  if (BINARY.has(type)) return Buffer.from(value, "base64");
  return type === "datetime" || type === "timestamp" ? utcOf(value) : value;
}

/** The server takes no time zone in a time; digits below milliseconds are kept. */
function utcOf(text: string): string {
  const [, day, time, fraction = "", zone] = ZONED.exec(text) ?? [];
  if (day === undefined) return text;
  const utc = new Date(`${day}T${time}${zone}`);
  return Number.isNaN(utc.getTime()) ? text : utc.toISOString().slice(0, 19).replace("T", " ") + fraction;
}
