/**
 * Event times of what a source takes that cannot be read again. Which messages are late is decided in the order in which they are
 * appended, and stands in the step; the watermark goes on where the newest step in the log left it (R19).
 */
import {
  type EventTimeOptions,
  type FeedItem,
  type Json,
  type LateEmit,
  Positions,
  RowBatch,
  WatermarkGenerator,
} from "@millrace/engine";

/** What a step takes. */
export interface Timed {
  readonly rows: readonly Json[];
  /** By index in `rows`. */
  readonly late: readonly LateEmit[];
  /** What is no message, or has no event time. */
  readonly bad: readonly FeedItem[];
}

export class TakenTimes {
  readonly #generator: WatermarkGenerator;
  #sealed = Number.NEGATIVE_INFINITY;

  constructor(options: EventTimeOptions) {
    this.#generator = new WatermarkGenerator(options, this.#sealed);
  }

  /** Of what was taken, the step in the making included. */
  get watermark(): number {
    return this.#generator.watermark;
  }

  /** Goes on where the node's outputs stand. */
  begin(watermark: number): void {
    this.#sealed = watermark;
    this.discard();
  }

  pass(items: readonly FeedItem[]): Timed {
    const messages = new RowBatch(items.filter((item) => !("error" in item)).map(({ message }) => message));
    const { late, untimed } = this.#generator.pass(this.#generator.times(messages), Positions.dense(0, messages.n));
    const errors = new Map(untimed.map(({ index, error }) => [index, error]));
    const rows: Json[] = [];
    const bad: FeedItem[] = [];
    /** Of the messages, where each is in `rows`. */
    const places: number[] = [];
    for (const item of items) {
      const error = "error" in item ? item.error : errors.get(places.length);
      if (!("error" in item)) places.push(rows.length);
      if ("error" in item || error !== undefined) bad.push({ ...item, error });
      else rows.push(item.message);
    }
    return { rows, bad, late: late.map(({ pos, watermark }) => ({ index: places[pos] as number, watermark })) };
  }

  seal(): void {
    this.#sealed = this.#generator.watermark;
  }

  discard(): void {
    this.#generator.watermark = this.#sealed;
  }
}
