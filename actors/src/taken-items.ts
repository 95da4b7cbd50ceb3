/**
 * What a source that cannot be read again has taken: messages go on, what is none becomes a dead letter, and what is sent twice is
 * taken once, by its id. Part of the node's state: what is logged comes back.
 */
import {
  type CommittedContext,
  type Draft,
  type Env,
  type EventTimeOptions,
  type FeedItem,
  Positions,
  RowBatch,
} from "@millrace/engine";
import { RecentIds } from "./recent-ids.ts";
import { Silence } from "./silence.ts";
import { TakenTimes, type Timed } from "./taken-times.ts";

/** Event times of messages that are taken once. */
export interface TakenTimeOptions extends EventTimeOptions {
  /** Silence after which nobody waits for the source's watermark, in ms. Default 10 000. */
  readonly idleMs?: number;
  readonly env: Pick<Env, "clock" | "timers">;
}

export interface TakenItemsOptions {
  readonly idsMax?: number | undefined;
  /** Absent: messages have none. */
  readonly eventTime?: TakenTimeOptions | undefined;
}

const IDLE_MS = 10_000;

export interface TakenChange {
  /** Those that were new. */
  readonly ids: readonly string[];
  /** How many dead letters there are in all: they are counted in a lane on which nothing arrives. */
  readonly rejected: number;
}

export class TakenItems {
  readonly #lane: string;
  readonly #ids: RecentIds;
  readonly #eventTime: TakenTimeOptions | undefined;
  readonly #times: TakenTimes | undefined;
  #silence: Silence | undefined;
  #rejected = 0;
  /** Of the step in the making. */
  #rejectedNow = 0;
  #hasNew = false;

  /** @param lane names the dead letters of the node: a constant of its kind */
  constructor(lane: string, { idsMax, eventTime }: TakenItemsOptions) {
    this.#lane = lane;
    this.#ids = new RecentIds(idsMax);
    this.#eventTime = eventTime;
    this.#times = eventTime === undefined ? undefined : new TakenTimes(eventTime);
  }

  /** The node starts. `isQuiet`: nothing is under way, though something could come. */
  open(context: CommittedContext, isQuiet: () => boolean): void {
    if (this.#eventTime === undefined) return;
    const { idleMs = IDLE_MS, env } = this.#eventTime;
    this.#times?.begin(context.output.watermark);
    this.#silence = new Silence(context, { env, afterMs: idleMs, isQuiet });
  }

  /** Whether the step in the making is the first to bring this id; without an id it always is. */
  isFirst(id: string | undefined): boolean {
    return this.#ids.isFirst(id);
  }

  /** Adds to the step what is new of `items`. */
  take(draft: Draft, items: readonly FeedItem[]): void {
    const fresh = items.filter(({ id }) => this.isFirst(id));
    const { rows, late, bad } = this.#times?.pass(fresh) ?? untimed(fresh);
    this.#hasNew ||= fresh.length > 0;
    if (rows.length > 0) draft.emit("out", new RowBatch(rows), late);
    if (bad.length > 0) this.#reject(draft, bad);
    if (this.#times !== undefined) draft.advanceOutput(this.#times.watermark);
  }

  /** What the step says of it. */
  get change(): TakenChange {
    return { ids: this.#ids.fresh, rejected: this.#rejected + this.#rejectedNow };
  }

  /** False: the step brings no id that a repetition could be known by, and no dead letter. */
  get hasChanged(): boolean {
    return this.#rejectedNow > 0 || this.#ids.fresh.length > 0;
  }

  seal(): void {
    if (this.#hasNew) this.#silence?.broken();
    this.#hasNew = false;
    this.#times?.seal();
    this.#ids.seal();
    this.#rejected += this.#rejectedNow;
    this.#rejectedNow = 0;
  }

  discard(): void {
    this.#hasNew = false;
    this.#times?.discard();
    this.#ids.discard();
    this.#rejectedNow = 0;
  }

  fold({ ids, rejected }: TakenChange): void {
    this.#ids.remember(ids);
    this.#rejected = rejected;
  }

  snapshot(): TakenChange {
    return { ids: this.#ids.snapshot(), rejected: this.#rejected };
  }

  restore({ ids, rejected }: TakenChange): void {
    this.#ids.restore(ids);
    this.#rejected = rejected;
  }

  #reject(draft: Draft, bad: readonly FeedItem[]): void {
    const batch = new RowBatch(bad.map(({ message }) => message));
    const positions = Positions.dense(this.#rejected + this.#rejectedNow, bad.length);
    const slice = { lane: this.#lane, input: 0, batch, positions, late: [] };
    draft.reject(
      slice,
      bad.map(({ error }, index) => ({ index, error })),
    );
    this.#rejectedNow += bad.length;
  }
}

function untimed(items: readonly FeedItem[]): Timed {
  return {
    rows: items.filter((item) => !("error" in item)).map(({ message }) => message),
    late: [],
    bad: items.filter((item) => "error" in item),
  };
}
