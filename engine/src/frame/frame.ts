/**
 * The unit of everything that moves (step-protocol §2): a run of messages of one lane, with the range of the origin that it
 * covers. Filtering removes messages, never ranges, so an empty frame is as meaningful as a full one. Frames are immutable
 * and may be shared between branches.
 */
import type { ErrorReport } from "../errors.ts";
import { type Batch, EMPTY_BATCH } from "./batch.ts";
import type { Json } from "./json.ts";
import { comparePoints, type Point } from "./point.ts";
import { Positions } from "./positions.ts";

/** A message that failed for good in a pure node; the next committed receiver writes it down (R23). */
export interface DeadItem {
  readonly pos: number;
  readonly ord: number;
  /** The node that gave up on it. */
  readonly node: string;
  readonly attempts: number;
  readonly error: ErrorReport;
  /** What the node was given; `undefined` when it could not even be decoded. */
  readonly input: Json | undefined;
}

/** A message that came behind its lane's watermark, decided at the origin (R19). */
export interface LateMark {
  readonly pos: number;
  /** The lane's watermark just before that position. */
  readonly watermark: number;
}

/** Progress without data (R15): newer marks of the same origin epoch have a higher `n`. */
export interface Mark {
  readonly epoch: number;
  readonly n: number;
}

/** 16 bytes each: the event that caused the frame, and what all that follows from one cause has in common. */
export interface Trace {
  readonly causationId: Uint8Array;
  readonly correlationId: Uint8Array;
}

/** What is the same in all frames of one transmission, and what the range says. */
export interface FrameHead {
  /** Where in the plan's tree of paths the frame is: names origin and route so far. At a committed receiver, its lane. */
  readonly path: number;
  /** Transmission of the origin: grows with each resend (R11). */
  readonly generation: number;
  /** Owner epoch of the origin (R26). */
  readonly epoch: number;
  readonly revision: number;
  readonly from: Point;
  readonly to: Point;
  /** Event-time watermark in ms since 1970, exact at `to` if `exact`; `-Infinity` when the lane has none. */
  readonly watermark: number;
  /** False when the frame was cut inside the one that its origin sent: the watermark is then that of `from`. */
  readonly exact: boolean;
  readonly idle: boolean;
  readonly mark: Mark | null;
  /** Messages of the range that lossy overflow removed (R3). */
  readonly shed: number;
  /** Ids that link what follows from this frame to its cause. */
  readonly trace: Trace | null;
  /** Monotonic ms at which the oldest message entered this host; for latency figures only. */
  readonly bornMs: number;
}

const NO_DEAD: readonly DeadItem[] = [];
const NO_LATE: readonly LateMark[] = [];

export class Frame {
  readonly head: FrameHead;
  readonly batch: Batch;
  readonly positions: Positions;
  /** In `(pos, ord)` order; not counted in `n`. */
  readonly dead: readonly DeadItem[];
  /** In `pos` order. */
  readonly late: readonly LateMark[];

  constructor(
    head: FrameHead,
    batch: Batch,
    positions: Positions,
    dead: readonly DeadItem[] = NO_DEAD,
    late: readonly LateMark[] = NO_LATE,
  ) {
    this.head = head;
    this.batch = batch;
    this.positions = positions;
    this.dead = dead;
    this.late = late;
  }

  static empty(head: FrameHead): Frame {
    return new Frame(head, EMPTY_BATCH, Positions.NONE);
  }

  /** Number of messages, dead ones not counted. */
  get n(): number {
    return this.batch.n;
  }

  /** The same range after a node changed what is in it. */
  carrying(batch: Batch, positions: Positions, dead: readonly DeadItem[] = this.dead): Frame {
    return new Frame(this.head, batch, positions, dead, this.late);
  }

  /** The same frame one edge further. */
  along(path: number): Frame {
    return new Frame({ ...this.head, path }, this.batch, this.positions, this.dead, this.late);
  }

  /** The same frame in another transmission. */
  again(generation: number): Frame {
    return new Frame({ ...this.head, generation }, this.batch, this.positions, this.dead, this.late);
  }

  /** The frame in two, cut after message `i - 1`, `0 < i < n`. The first part's watermark is not exact. */
  cutBefore(i: number, watermarkAtFrom: number): [Frame, Frame] {
    return this.cutAfter(this.positions.point(i - 1), watermarkAtFrom);
  }

  /** The frame in two, cut after the point `at`, which lies in `(from, to)`. The first part's watermark is not exact. */
  cutAfter(at: Point, watermarkAtFrom: number): [Frame, Frame] {
    const first = { ...this.head, to: at, watermark: watermarkAtFrom, exact: false, idle: false, mark: null, shed: 0 };
    const n = this.positions.countThrough(at);
    return [
      new Frame(
        first,
        this.batch.slice(0, n),
        this.positions.slice(0, n),
        this.dead.filter((d) => comparePoints(d, at) <= 0),
        this.late.filter((l) => l.pos <= at.pos),
      ),
      this.trimmed(at),
    ];
  }

  /** What is left of the frame above `cursor`, with `from` moved up to it (R8). The cursor lies in `[from, to]`. */
  trimmed(cursor: Point): Frame {
    if (comparePoints(this.head.from, cursor) === 0) return this;
    const skip = this.positions.countThrough(cursor);
    return new Frame(
      { ...this.head, from: cursor },
      skip === 0 ? this.batch : this.batch.slice(skip, this.n),
      this.positions.slice(skip, this.n),
      this.dead.filter((d) => comparePoints(d, cursor) > 0),
      this.late.filter((l) => l.pos >= cursor.pos),
    );
  }
}
