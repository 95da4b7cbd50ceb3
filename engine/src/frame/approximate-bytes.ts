import type { Batch } from "./batch.ts";
import type { Column } from "./column.ts";
import { isJsonObject, type Json } from "./json.ts";

const SAMPLES = 3;

/** Bytes of memory that a batch takes: a cheap estimate from a few of its messages, exact enough to bound memory. */
export function approximateBytes(batch: Batch): number {
  const n = batch.n;
  if (n === 0) return 0;
  if (batch.kind === "columns") {
    let perRow = 0;
    for (const column of (batch as Batch & { columns: ReadonlyMap<string, Column> }).columns.values()) {
      perRow += column.type === "json" ? 64 : 8;
    }
    return perRow * n;
  }
  let sampled = 0;
  const samples = Math.min(SAMPLES, n);
  for (let i = 0; i < samples; i++)
    sampled += bytesOf(batch.row(Math.floor((i * (n - 1)) / Math.max(1, samples - 1))), 0);
  return Math.ceil((sampled / samples) * n);
}

const DEPTH_MAX = 8;

function bytesOf(value: Json, depth: number): number {
  if (typeof value === "string") return 16 + value.length * 2;
  if (depth > DEPTH_MAX) return 64;
  let bytes = 16;
  if (Array.isArray(value)) for (const item of value) bytes += bytesOf(item, depth + 1);
  else if (isJsonObject(value)) for (const key in value) bytes += 8 + bytesOf(value[key] as Json, depth + 1);
  return bytes;
}
