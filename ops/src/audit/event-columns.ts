/** Events as columns of a Parquet file: what bundles and archives hold for analysts. */
import type { RecordedEvent } from "@millrace/engine";
import type { ColumnSource } from "hyparquet-writer";
import { eventFields } from "./bundled-event.ts";

type ColumnType = "INT64" | "INT32" | "STRING" | "TIMESTAMP";
export type EventRow = Readonly<Record<string, unknown>>;

const COLUMNS: readonly (readonly [name: string, type: ColumnType])[] = [
  ["position", "INT64"],
  ["time", "TIMESTAMP"],
  ["stream", "STRING"],
  ["revision", "INT64"],
  ["type", "STRING"],
  ["schemaVersion", "INT32"],
  ["id", "STRING"],
  ["correlationId", "STRING"],
  ["causationId", "STRING"],
  ["principal", "STRING"],
  ["tenant", "STRING"],
  ["codeVersion", "STRING"],
  ["graph", "STRING"],
  ["graphRevision", "INT64"],
  ["node", "STRING"],
  ["epoch", "INT64"],
  ["data", "STRING"],
];

/** @param data the event's payload, decoded */
export function rowOf(event: RecordedEvent, data: unknown): EventRow {
  return { ...eventFields(event), time: new Date(event.timeMs), data: JSON.stringify(data) };
}

export function columnsOf(rows: readonly EventRow[]): ColumnSource[] {
  return COLUMNS.map(([name, type]) => ({
    name,
    type,
    nullable: false,
    data: rows.map((row) => (type === "INT64" ? BigInt(row[name] as number) : row[name])),
  }));
}
