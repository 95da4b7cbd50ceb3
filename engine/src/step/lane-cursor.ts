/**
 * One lane as its committed receiver knows it: how far it is consumed, and whether a frame that arrives is new, old or comes
 * after a gap (step-protocol §3).
 */
import type { OriginControl } from "../actor/link.ts";
import { type Anchor, START_ANCHOR } from "../frame/anchor.ts";
import { Frame, type FrameHead, type Mark } from "../frame/frame.ts";
import { comparePoints, formatPoint, type Point, START } from "../frame/point.ts";
import { ALL_RULES, type ProtocolRules } from "./protocol-rules.ts";

export interface LaneProgress {
  readonly watermark: number;
  readonly idle: boolean;
  readonly mark: Mark | null;
  readonly anchor: Anchor;
}

export const START_PROGRESS: LaneProgress = {
  watermark: START_ANCHOR.watermark,
  idle: false,
  mark: null,
  anchor: START_ANCHOR,
};

export type Admission =
  /** New messages or progress; already trimmed to what lies above the cursor. */
  | { readonly verdict: "take"; readonly frame: Frame }
  /** Everything in it was consumed before. */
  | { readonly verdict: "old" }
  /** Something before it is missing: drop it and ask the origin (R7). */
  | { readonly verdict: "gap" };

const OLD: Admission = { verdict: "old" };
const GAP: Admission = { verdict: "gap" };

/** What the plan says of a lane. */
export interface LaneAddress {
  /** Origin and route; the same in every run. */
  readonly name: string;
  readonly path: number;
  /** Which input of the node the lane arrives at. */
  readonly input: number;
  /** Left out of the node's watermark, because the loop would wait for itself (R20). */
  readonly feedback: boolean;
  readonly origin: OriginControl;
}

export class LaneCursor implements LaneAddress {
  readonly name: string;
  /** Short number in the node's stream; given once the stream has been read. */
  number = -1;
  readonly path: number;
  readonly input: number;
  readonly feedback: boolean;
  readonly origin: OriginControl;

  /** Admitted so far; frames are judged against it. */
  cursor: Point = START;
  /** What the frames computed so far say. Replaced, never changed, so that a failed attempt can put the old one back. */
  progress: LaneProgress = START_PROGRESS;
  /** Consumed for good. */
  durable: Point = START;
  durableAnchor: Anchor = START_ANCHOR;
  /** Highest owner epoch seen from the origin. */
  #epoch = -1;
  /** Generation whose frames started the gap; further frames of it do not ask again. */
  #askedGeneration = -1;
  #admittedMark: Mark | null = null;
  readonly #rules: ProtocolRules;

  constructor(lane: LaneAddress, rules: ProtocolRules = ALL_RULES) {
    this.#rules = rules;
    this.name = lane.name;
    this.path = lane.path;
    this.input = lane.input;
    this.feedback = lane.feedback;
    this.origin = lane.origin;
  }

  /** Judges a frame by R7, R8, R15 and R26. Changes nothing but the epoch. */
  admit(frame: Frame): Admission {
    const { from, to, epoch, mark } = frame.head;
    if (epoch < this.#epoch) return OLD;
    if (epoch > this.#epoch) this.#askedGeneration = -1;
    this.#epoch = epoch;
    if (!this.#rules.R15 && mark !== null && comparePoints(from, to) === 0) return this.#anyMark(frame);
    if (this.#rules.R7 && comparePoints(from, this.cursor) > 0) return GAP;
    const left = comparePoints(to, this.cursor);
    if (left > 0) return { verdict: "take", frame: frame.trimmed(this.cursor) };
    const marks = left === 0 && mark !== null && isNewer(mark, this.#admittedMark);
    return marks ? { verdict: "take", frame: frame.trimmed(this.cursor) } : OLD;
  }

  /** Believes a mark wherever it stands and however old it is (R15 switched off). */
  #anyMark(frame: Frame): Admission {
    const { cursor } = this;
    return { verdict: "take", frame: Frame.empty({ ...frame.head, from: cursor, to: cursor }) };
  }

  /** Asks the origin once per transmission for what is missing; an empty frame, which may be a probe, asks always. */
  ask(frame: Frame): void {
    if (frame.head.generation === this.#askedGeneration && frame.n > 0) return;
    this.#askedGeneration = frame.head.generation;
    this.origin.resume(this.path, this.cursor, this.progress.anchor);
  }

  /** The receiver starts, or starts again: whatever is on its way may be lost. */
  askFromCursor(): void {
    this.#askedGeneration = -1;
    this.origin.resume(this.path, this.cursor, this.progress.anchor);
    // The one before may have died with it unsaid, and there may be nothing left to say.
    if (comparePoints(this.durable, START) > 0) this.settle(this.durable, this.durableAnchor);
  }

  /** Moves the cursor over a frame that {@link admit} took. */
  admitted(head: FrameHead): void {
    this.cursor = head.to;
    if (head.mark !== null) this.#admittedMark = head.mark;
  }

  /** Takes over what an admitted frame says, once its messages were handled. */
  apply(head: FrameHead): void {
    this.progress = progressAfter(this.progress, head);
  }

  /** Continues where a stream left off. */
  recover(cursor: Point, progress: LaneProgress): void {
    this.cursor = cursor;
    this.progress = progress;
    this.#admittedMark = progress.mark;
    this.durable = cursor;
    this.durableAnchor = progress.anchor;
  }

  settle(cursor: Point, anchor: Anchor): void {
    this.durable = cursor;
    this.durableAnchor = anchor;
    this.origin.acknowledge(this.path, cursor, anchor);
  }

  toString(): string {
    return `${this.name}@${formatPoint(this.cursor)}`;
  }
}

/** What a lane knows after a range of it was handled, live or in a replay. */
export function progressAfter(
  before: LaneProgress,
  range: Pick<FrameHead, "to" | "watermark" | "exact" | "idle" | "mark">,
): LaneProgress {
  const watermark = range.exact ? Math.max(before.watermark, range.watermark) : before.watermark;
  return {
    watermark,
    idle: range.idle,
    mark: range.mark ?? before.mark,
    anchor: range.exact ? { pos: range.to.pos, watermark } : before.anchor,
  };
}

function isNewer(mark: Mark, than: Mark | null): boolean {
  return than === null || mark.epoch > than.epoch || (mark.epoch === than.epoch && mark.n > than.n);
}
