/**
 * Everything that a window needs to know of a slice, evaluated before any state is touched: from here on nothing can fail, so
 * a slice is either accumulated whole, or its bad messages were reported and left out.
 */
import {
  type Batch,
  type Column,
  ColumnBatch,
  cell,
  END,
  type InputSlice,
  type MessageFailure,
  type NumericInput,
} from "@millrace/engine";
import { actorError } from "../errors.ts";
import { eventTimesOf } from "../event-time.ts";
import type { Expression } from "../expression.ts";
import { distinctFailures } from "../survivors.ts";
import { firstStartAfter } from "./span.ts";

export interface WindowInput {
  /** Physical indices of the messages to accumulate; `null`: all of `0 … n-1`. */
  readonly at: Uint32Array | null;
  readonly n: number;
  readonly times: Float64Array;
  readonly keys: readonly Column[];
  readonly values: readonly NumericInput[];
  readonly failures: readonly MessageFailure[];
  /** Messages of which the first window was closed before them, by index in the batch. */
  readonly late: Uint32Array;
}

export interface WindowInputOptions {
  readonly everyMs: number;
  /** Event times beyond it, before or after 1970, are no times. */
  readonly timeMsMax: number;
  readonly latenessMs: number;
  readonly time: Expression;
  readonly by: readonly Expression[];
  readonly expressions: readonly Expression[];
  readonly numeric: readonly boolean[];
}

const NO_LATE = new Uint32Array(0);

export function windowInput(slice: InputSlice, watermark: number, options: WindowInputOptions): WindowInput {
  const { batch } = slice;
  const failures: MessageFailure[] = [];
  const evaluate = (expression: Expression): Column => {
    const result = expression.column(batch);
    for (const failure of result.failures) failures.push(failure);
    return result.column;
  };
  const physical = lazily(() => physicalCount(batch));
  const times = eventTimesOf(evaluate(options.time), physical);
  const keys = options.by.map(evaluate);
  const columns = options.expressions.map(evaluate);
  const least = checkTimes(times, batch, options.timeMsMax, failures);
  const values = columns.map((column, input) =>
    numericInput(column, batch, physical, options.numeric[input] === true, failures),
  );
  const late = slice.late.length === 0 && least >= watermark ? NO_LATE : lateMessages(slice, times, watermark, options);
  const distinct = distinctFailures(failures);
  const selection = batch instanceof ColumnBatch ? batch.selection : null;
  if (distinct.length === 0 && late.length === 0)
    return { at: selection, n: batch.n, times, keys, values, failures: distinct, late };
  const at = physicalLeft(batch, distinct, late);
  // A message that failed is dead, whether or not it is late as well.
  const dead = new Set(distinct.map((failure) => failure.index));
  return { at, n: at.length, times, keys, values, failures: distinct, late: late.filter((i) => !dead.has(i)) };
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** How many physical rows the batch's columns need to have for its messages. */
function physicalCount(batch: Batch): number {
  if (!(batch instanceof ColumnBatch) || batch.selection === null) return batch.n;
  let most = -1;
  for (const at of batch.selection) if (at > most) most = at;
  return most + 1;
}

/** The least time; a message without one fails. */
function checkTimes(times: Float64Array, batch: Batch, most: number, failures: MessageFailure[]): number {
  const at = batch instanceof ColumnBatch ? batch.selection : null;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < batch.n; i++) {
    const t = times[at === null ? i : (at[i] as number)] as number;
    if (t < least) least = t;
    // False for NaN, too.
    if (!(t >= -most && t <= most))
      failures.push({ index: i, error: actorError("WINDOW-TIME", "the message has no usable event time") });
  }
  return least;
}

function numericInput(
  column: Column,
  batch: Batch,
  physical: () => number,
  mustBeNumber: boolean,
  failures: MessageFailure[],
): NumericInput {
  const at = batch instanceof ColumnBatch ? batch.selection : null;
  if (column.type === "number" || !mustBeNumber) {
    if (column.type !== "json")
      return column.type === "number"
        ? finite(column, at, batch.n, failures)
        : { values: NO_VALUES, nulls: column.nulls };
  }
  const values = mustBeNumber ? new Float64Array(physical()) : NO_VALUES;
  let nulls: Uint8Array | null = null;
  for (let i = 0; i < batch.n; i++) {
    const from = at === null ? i : (at[i] as number);
    const value = cell(column, from);
    if (value === null) {
      nulls ??= new Uint8Array(physical());
      nulls[from] = 1;
    } else if (!mustBeNumber) continue;
    else if (typeof value === "number" && Number.isFinite(value)) values[from] = value;
    else
      failures.push({
        index: i,
        error: actorError("WINDOW-VALUE", `cannot aggregate ${JSON.stringify(value).slice(0, 80)}`),
      });
  }
  return { values, nulls };
}

const NO_VALUES = new Float64Array(0);

function finite(input: NumericInput, at: Uint32Array | null, n: number, failures: MessageFailure[]): NumericInput {
  const { values, nulls } = input;
  if (values instanceof Int32Array) return input;
  for (let i = 0; i < n; i++) {
    const from = at === null ? i : (at[i] as number);
    const value = values[from] as number;
    if (value - value !== 0 && nulls?.[from] !== 1) {
      failures.push({ index: i, error: actorError("WINDOW-VALUE", `cannot aggregate ${value}`) });
    }
  }
  return input;
}

/**
 * Late is what the origin marked with a watermark that had closed the message's first window (R19), and what a lane brings that was
 * idle while the node's own watermark passed. The first holds in every run alike; the second only if lanes were idle.
 */
function lateMessages(
  slice: InputSlice,
  times: Float64Array,
  watermark: number,
  options: WindowInputOptions,
): Uint32Array {
  const { batch, positions } = slice;
  const behind = new Float64Array(batch.n).fill(watermark);
  for (const mark of slice.late) {
    const first = positions.countThrough({ pos: mark.pos - 1, ord: END });
    for (let i = first; i < batch.n && positions.pos(i) === mark.pos; i++)
      behind[i] = Math.max(watermark, mark.watermark);
  }
  const late: number[] = [];
  for (let i = 0; i < batch.n; i++) {
    const t = times[batch instanceof ColumnBatch ? batch.at(i) : i] as number;
    if (firstStartAfter(t, options.everyMs) + options.latenessMs <= (behind[i] as number)) late.push(i);
  }
  return Uint32Array.from(late);
}

function physicalLeft(batch: Batch, failures: readonly MessageFailure[], late: Uint32Array): Uint32Array {
  const out = new Uint8Array(batch.n);
  for (const failure of failures) out[failure.index] = 1;
  for (const i of late) out[i] = 1;
  const at = new Uint32Array(batch.n);
  let n = 0;
  for (let i = 0; i < batch.n; i++) if (out[i] === 0) at[n++] = batch instanceof ColumnBatch ? batch.at(i) : i;
  return at.slice(0, n);
}
