/** Values of an answer as JSON and as text of CSV. */
import {
  type DuckDBDecimalValue,
  type DuckDBTimestampValue,
  DuckDBTypeId,
  type DuckDBValueConverter,
  JsonDuckDBValueConverter,
} from "@duckdb/node-api";
import type { Json } from "@millrace/engine";

/** Digits that a double holds for certain. */
const DOUBLE_DIGITS = 15;

/** Numbers as numbers where JSON can say them exactly, else as text; times as ISO 8601 in UTC; the rest as DuckDB writes it. */
export const jsonCell: DuckDBValueConverter<Json> = (value, type, converter) => {
  if (value === null) return null;
  if (typeof value === "bigint") return exactNumber(value);
  switch (type.typeId) {
    // The type says what the value is.
    case DuckDBTypeId.TIMESTAMP:
      return timeText(value as DuckDBTimestampValue);
    case DuckDBTypeId.DECIMAL:
      return decimal(value as DuckDBDecimalValue);
    default:
      return JsonDuckDBValueConverter(value, type, converter as typeof JsonDuckDBValueConverter) as Json;
  }
};

function exactNumber(value: bigint): Json {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

function decimal(value: DuckDBDecimalValue): Json {
  const text = value.toString();
  return text.replace(/\D/g, "").length <= DOUBLE_DIGITS ? Number(text) : text;
}

function timeText(value: DuckDBTimestampValue): string {
  if (value.isFinite && value.micros % 1000n === 0n) return new Date(Number(value.micros / 1000n)).toISOString();
  return value.toString();
}

export function cellText(value: Json): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** One field of CSV by RFC 4180; null is nothing, an empty text is `""`. */
export function csvField(value: Json): string {
  if (value === null) return "";
  const text = cellText(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
