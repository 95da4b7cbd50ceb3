/**
 * Watermarks of a source partition: the highest event time seen, less a bound on disorder. A function of position alone:
 * started from an anchor of a receiver's cursor it gives the same watermarks and the same late messages again (R19).
 */
import { engineError } from "../errors.ts";
import type { Batch } from "../frame/batch.ts";
import { ColumnBatch } from "../frame/batch.ts";
import { cell } from "../frame/column.ts";
import { fieldOf } from "../frame/field.ts";
import type { LateMark } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import type { Positions } from "../frame/positions.ts";
import { msOfIsoText } from "../time/iso-text.ts";

export interface EventTimeOptions {
  /** Field of the message with its event time: ISO 8601 or ms since 1970. */
  readonly field: string;
  /** How far behind the highest event time a message may come, in ms. */
  readonly boundMs: number;
}

/** A message whose event time cannot be read; it becomes a dead letter. */
export interface UntimedMessage {
  readonly index: number;
  readonly error: Error;
}

const NO_LATE: readonly LateMark[] = [];
const NO_UNTIMED: readonly UntimedMessage[] = [];

export class WatermarkGenerator {
  readonly #options: EventTimeOptions;
  /** Highest event time less the bound. */
  watermark: number;

  constructor(options: EventTimeOptions, from: number) {
    this.#options = options;
    this.watermark = from;
  }

  /** Event times of a batch; `NaN` where there is none. */
  times(batch: Batch): Float64Array {
    const { field } = this.#options;
    const times = new Float64Array(batch.n);
    const column = batch instanceof ColumnBatch ? batch.columns.get(field) : undefined;
    if (batch instanceof ColumnBatch && column?.type === "time" && column.nulls === null) {
      const { selection } = batch;
      for (let i = 0; i < batch.n; i++)
        times[i] = plausible(column.values[selection === null ? i : (selection[i] as number)] as number);
      return times;
    }
    for (let i = 0; i < batch.n; i++) {
      const value = column !== undefined ? cell(column, (batch as ColumnBatch).at(i)) : fieldOf(batch.row(i), field);
      times[i] = timeOf(value);
    }
    return times;
  }

  /** Moves over a batch: which of its messages are late, and which have no time. */
  pass(times: Float64Array, positions: Positions): { late: readonly LateMark[]; untimed: readonly UntimedMessage[] } {
    const { boundMs, field } = this.#options;
    let late: LateMark[] | undefined;
    let untimed: UntimedMessage[] | undefined;
    let watermark = this.watermark;
    for (let i = 0; i < times.length; i++) {
      const time = times[i] as number;
      if (time < watermark) {
        late ??= [];
        late.push({ pos: positions.pos(i), watermark });
      } else if (time - boundMs > watermark) watermark = time - boundMs;
      else if (Number.isNaN(time)) {
        untimed ??= [];
        untimed.push({ index: i, error: engineError("MSG-TIME", `field "${field}" is not a time`) });
      }
    }
    this.watermark = watermark;
    return { late: late ?? NO_LATE, untimed: untimed ?? NO_UNTIMED };
  }
}

/** Years 1 to 9999: what an ISO 8601 string can say without signs. Anything else would poison the watermark for ever. */
const TIME_MIN = Date.UTC(1, 0, 1) - 1900 * 366 * 86_400_000;
const TIME_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

function timeOf(value: Json | undefined): number {
  return plausible(typeof value === "number" ? value : typeof value === "string" ? msOfIsoText(value) : Number.NaN);
}

function plausible(ms: number): number {
  return ms >= TIME_MIN && ms <= TIME_MAX ? ms : Number.NaN;
}
