/**
 * What a source that cannot be read again has taken: messages go on, what is none becomes a dead letter, and what is sent twice is
 * taken once, by its id. Part of the node's state: what is logged comes back.
 */
import { type Draft, type FeedItem, Positions, RowBatch } from "@millrace/engine";
import { RecentIds } from "./recent-ids.ts";

export interface TakenChange {
  /** Those that were new. */
  readonly ids: readonly string[];
  /** How many dead letters there are in all: they are counted in a lane on which nothing arrives. */
  readonly rejected: number;
}

export class TakenItems {
  readonly #lane: string;
  readonly #ids: RecentIds;
  #rejected = 0;
  /** Of the step in the making. */
  #rejectedNow = 0;

  /** @param lane names the dead letters of the node: a constant of its kind */
  constructor(lane: string, idsMax?: number) {
    this.#lane = lane;
    this.#ids = new RecentIds(idsMax);
  }

  /** Whether the step in the making is the first to bring this id; without an id it always is. */
  isFirst(id: string | undefined): boolean {
    return this.#ids.isFirst(id);
  }

  /** Adds to the step what is new of `items`. */
  take(draft: Draft, items: readonly FeedItem[]): void {
    const rows = [];
    const bad = [];
    for (const item of items) {
      if (!this.isFirst(item.id)) continue;
      if ("error" in item) bad.push(item);
      else rows.push(item.message);
    }
    if (rows.length > 0) draft.emit("out", new RowBatch(rows));
    if (bad.length > 0) this.#reject(draft, bad);
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
    this.#ids.seal();
    this.#rejected += this.#rejectedNow;
    this.#rejectedNow = 0;
  }

  discard(): void {
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
