import { type Anchor, START_ANCHOR } from "../frame/anchor.ts";
import { comparePoints, type Point, START } from "../frame/point.ts";

/**
 * How far every lane of an origin is durably consumed. The slowest lane decides what may be pruned and where the origin
 * resumes (R21). Lost or late acknowledgements are harmless: the highest wins.
 */
export class LaneAcks {
  readonly #acked = new Map<number, { cursor: Point; anchor: Anchor }>();

  constructor(paths: Iterable<number>) {
    for (const path of paths) this.#acked.set(path, { cursor: START, anchor: START_ANCHOR });
  }

  get size(): number {
    return this.#acked.size;
  }

  cursorOf(path: number): Point {
    return this.#acked.get(path)?.cursor ?? START;
  }

  /** True when something moved. */
  note(path: number, cursor: Point, anchor: Anchor): boolean {
    const lane = this.#acked.get(path);
    if (lane === undefined) return false;
    const moved = comparePoints(cursor, lane.cursor);
    if (moved < 0 || (moved === 0 && anchor.watermark <= lane.anchor.watermark)) return false;
    this.#acked.set(path, { cursor, anchor });
    return true;
  }

  /** The least acknowledged cursor; `undefined` when the origin has no lanes. */
  get least(): Point | undefined {
    let least: Point | undefined;
    for (const { cursor } of this.#acked.values())
      if (least === undefined || comparePoints(cursor, least) < 0) least = cursor;
    return least;
  }

  /** The highest acknowledged cursor: what must not decide (R21). */
  get greatest(): Point | undefined {
    let greatest: Point | undefined;
    for (const { cursor } of this.#acked.values())
      if (greatest === undefined || comparePoints(cursor, greatest) > 0) greatest = cursor;
    return greatest;
  }

  /** Every lane is durably at `cursor` or beyond and knows a watermark of at least `watermark`. */
  confirm(cursor: Point, watermark: number): boolean {
    for (const lane of this.#acked.values()) {
      if (comparePoints(lane.cursor, cursor) < 0 || lane.anchor.watermark < watermark) return false;
    }
    return true;
  }

  /** Where the origin can start again: the least anchor. */
  get leastAnchor(): Anchor {
    let least: Anchor | undefined;
    for (const { anchor } of this.#acked.values()) if (least === undefined || anchor.pos < least.pos) least = anchor;
    return least ?? START_ANCHOR;
  }
}
