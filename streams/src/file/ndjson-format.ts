/** One JSON value per line (NDJSON, JSON Lines). Empty lines are no messages. */
import { isUtf8 } from "node:buffer";
import { type Json, messageOf, RowBatch } from "@millrace/engine";
import type { LineScanner } from "./line-scanner.ts";
import { bounds, NOT_UTF8, type RecordBatch, type RecordFormat, type RecordResult } from "./record-format.ts";

class Rows implements RecordBatch {
  readonly rows: Json[] = [];

  get n(): number {
    return this.rows.length;
  }

  build(): RowBatch {
    return new RowBatch(this.rows);
  }
}

export function ndjsonFormat(): RecordFormat<Rows> {
  return { batch: () => new Rows(), add };
}

function add(scanner: LineScanner, batch: Rows): RecordResult {
  const { start, end } = bounds(scanner);
  if (start === end) return "nothing";
  if (!isUtf8(scanner.bytes.subarray(start, end))) return NOT_UTF8;
  const text = scanner.bytes.toString("utf8", start, end);
  if (text.trim() === "") return "nothing";
  try {
    batch.rows.push(JSON.parse(text) as Json);
    return "taken";
  } catch (cause) {
    return { code: "MSG-DECODE", reason: `not JSON: ${messageOf(cause)}` };
  }
}
