import type { InputSlice } from "../behavior/committed-behavior.ts";
import type { Frame } from "../frame/frame.ts";
import { comparePoints, type Point } from "../frame/point.ts";
import type { LaneCursor } from "./lane-cursor.ts";
import type { LatencyWindow } from "./latency-window.ts";

/** An admitted frame, or a part of one, that waits to become part of a step. */
export interface StepWork {
  readonly lane: LaneCursor;
  readonly frame: Frame;
  /** Failed attempts so far. */
  readonly attempts: number;
}

export function sliceOf(work: StepWork): InputSlice {
  const { lane, frame } = work;
  return { lane: lane.name, input: lane.input, batch: frame.batch, positions: frame.positions, late: frame.late };
}

/** Halves that fail or succeed on their own; messages, dead ones among them, keep their order. Of two at least. */
export function bisected(work: StepWork): [StepWork, StepWork] {
  const [first, second] = work.frame.cutAfter(middleOf(work.frame), work.lane.progress.watermark);
  return [
    { ...work, frame: first, attempts: 0 },
    { ...work, frame: second, attempts: 0 },
  ];
}

/** The last of the first half of what lies in a frame. */
function middleOf({ n, positions, dead }: Frame): Point {
  if (dead.length === 0) return positions.point((n >>> 1) - 1);
  const points: Point[] = Array.from({ length: n }, (_, i) => positions.point(i));
  for (const { pos, ord } of dead) points.push({ pos, ord });
  return points.sort(comparePoints)[(points.length >>> 1) - 1] as Point;
}

/** The step is durable: its ranges are acknowledged, and what their messages waited for is noted. `now`: monotonic, in ms. */
export function settle(work: readonly StepWork[], latency: LatencyWindow, now: number): void {
  for (const { lane, frame } of work) {
    const { to, exact, bornMs } = frame.head;
    const anchor = exact
      ? { pos: to.pos, watermark: Math.max(lane.durableAnchor.watermark, frame.head.watermark) }
      : lane.durableAnchor;
    lane.settle(to, anchor);
    if (frame.n > 0) latency.note(now - bornMs, frame.n);
  }
}
