/** How values of columns become JSON, and JSON becomes values. */
import type { Json, JsonObject } from "@millrace/engine";
import type { RowGroup } from "../sql/lane-cursors.ts";
import type { TableShape } from "../sql/table.ts";
import type { SqliteRow, SqliteValue } from "./sqlite-file.ts";
import { identifier } from "./table.ts";

/** What selects a table's columns so that {@link jsonRow} finds texts whole and knows them from other bytes. */
export function selectList({ columns }: TableShape): string {
  const names = [...columns.keys()].map(identifier);
  return names
    .map((c, i) => `typeof(${c}) = 'text' as t${i}, iif(typeof(${c}) = 'text', cast(${c} as blob), ${c}) as v${i}`)
    .join(", ");
}

export function jsonRow(row: SqliteRow, { columns }: TableShape): JsonObject {
  const entries = [...columns].map(([name, { type }], i) => [
    name,
    jsonValue(row[`v${i}`] ?? null, row[`t${i}`] === 1n, type),
  ]);
  return Object.fromEntries(entries) as JsonObject;
}

function jsonValue(value: SqliteValue, isText: boolean, type: string): Json {
  if (typeof value === "bigint") return Number(value);
  // JSON has no number for it.
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (!(value instanceof Uint8Array)) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!isText) return bytes.toString("base64");
  const text = bytes.toString("utf8");
  return type === "json" ? parsed(text) : text;
}

/** A column that is called so holds whatever was put there. */
function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** What rows are written with: a placeholder per column, and each row's values. */
export interface BoundRows {
  readonly placeholders: readonly string[];
  readonly values: readonly (readonly SqliteValue[])[];
}

/** The library ends a text at a NUL, so texts with one are bound as bytes, and made texts again. */
export function boundRows({ columns, rows }: RowGroup, shape: TableShape): BoundRows {
  const types = columns.map((name) => shape.columns.get(name)?.type ?? "");
  const placeholders = columns.map((name, i) => {
    const hasNul = types[i] !== "blob" && rows.some((row) => textOf(row[name] ?? null)?.includes("\0") === true);
    return hasNul ? `iif(typeof(?${i + 1}) = 'blob', cast(?${i + 1} as text), ?${i + 1})` : `?${i + 1}`;
  });
  return {
    placeholders,
    values: rows.map((row) => columns.map((name, i) => bound(row[name] ?? null, types[i] ?? ""))),
  };
}

function textOf(value: Json): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function bound(value: Json, type: string): SqliteValue {
  if (value === null) return null;
  if (type === "json" || typeof value === "object") return JSON.stringify(value);
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (type === "blob") return Buffer.from(value, "base64");
  return value.includes("\0") ? Buffer.from(value) : value;
}
