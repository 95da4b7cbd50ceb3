/**
 * One JSON value per line (NDJSON, JSON Lines). Empty lines are no messages. Where there is a kernel, batches of objects of one shape
 * are columns; all others are rows.
 */
import { isUtf8 } from "node:buffer";
import { type Batch, type Json, messageOf, RowBatch, type TextKernels } from "@millrace/engine";
import { cellsOf, JsonShapes } from "./json-shapes.ts";
import type { KernelColumns } from "./kernel-columns.ts";
import type { LineScanner } from "./line-scanner.ts";
import {
  bounds,
  NOT_UTF8,
  type RecordBatch,
  type RecordFormat,
  type RecordResult,
  type RecordRun,
} from "./record-format.ts";

/** Fewer messages are not worth columns. */
const COLUMN_ROWS_MIN = 8;

/** Without kernels TypeScript reads all records. */
export function ndjsonFormat(lineBytesMax: number, kernels: TextKernels | undefined): RecordFormat<Messages> {
  const shapes = kernels === undefined ? undefined : new JsonShapes(kernels, lineBytesMax);
  return { batch: () => (shapes?.isTried() === true ? new Columns(shapes) : new Rows()), addRun, add };
}

interface Messages extends RecordBatch {
  add(message: Json): void;
}

class Rows implements Messages {
  readonly room: number = Number.POSITIVE_INFINITY;
  readonly #rows: Json[];

  constructor(rows: readonly Json[] = []) {
    this.#rows = [...rows];
  }

  get n(): number {
    return this.#rows.length;
  }

  add(message: Json): void {
    this.#rows.push(message);
  }

  build(): RowBatch {
    return new RowBatch(this.#rows);
  }
}

/** Becomes rows with the first message of another shape. */
class Columns implements Messages {
  columns: KernelColumns | undefined;
  readonly #shapes: JsonShapes;
  #rows: Rows | undefined;

  constructor(shapes: JsonShapes) {
    this.#shapes = shapes;
    this.columns = shapes.last();
  }

  get n(): number {
    return (this.#rows ?? this.columns)?.n ?? 0;
  }

  get room(): number {
    return (this.#rows ?? this.columns)?.room ?? Number.POSITIVE_INFINITY;
  }

  add(message: Json): void {
    const cells = this.#rows === undefined ? this.#cells(message) : undefined;
    if (cells !== undefined) this.columns?.add(cells);
    else this.#asRows().add(message);
  }

  /** `undefined` for a message of another shape than those before it. */
  #cells(message: Json): readonly Json[] | undefined {
    const cells = this.columns && cellsOf(message, this.columns.names);
    if (cells !== undefined || this.n > 0) return cells;
    this.columns = this.#shapes.like(message);
    return this.columns && cellsOf(message, this.columns.names);
  }

  #asRows(): Rows {
    if (this.#rows !== undefined) return this.#rows;
    this.#rows = new Rows(this.columns?.build().rows());
    this.columns = undefined;
    this.#shapes.note(false);
    return this.#rows;
  }

  build(): Batch {
    if (this.#rows !== undefined) return this.#rows.build();
    this.#shapes.note(true);
    const batch = this.columns?.build();
    if (batch === undefined || batch.n < COLUMN_ROWS_MIN) return new RowBatch(batch?.rows() ?? []);
    return batch;
  }
}

function addRun(scanner: LineScanner, batch: Messages, recordsMax: number): RecordRun | undefined {
  return batch instanceof Columns ? batch.columns?.addRun(scanner, recordsMax) : undefined;
}

function add(scanner: LineScanner, batch: Messages): RecordResult {
  const { start, end } = bounds(scanner);
  if (start === end) return "nothing";
  if (!isUtf8(scanner.bytes.subarray(start, end))) return NOT_UTF8;
  const text = scanner.bytes.toString("utf8", start, end);
  if (text.trim() === "") return "nothing";
  let message: Json;
  try {
    message = JSON.parse(text) as Json;
  } catch (cause) {
    return { code: "MSG-DECODE", reason: `not JSON: ${messageOf(cause)}` };
  }
  batch.add(message);
  return "taken";
}
