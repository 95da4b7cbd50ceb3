import type { InputSlice } from "../behavior/committed-behavior.ts";
import type { Frame } from "../frame/frame.ts";
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

/** Halves that fail or succeed on their own; messages keep their order. */
export function bisected(work: StepWork): [StepWork, StepWork] {
  const [first, second] = work.frame.cutBefore(work.frame.n >>> 1, work.lane.progress.watermark);
  return [
    { ...work, frame: first, attempts: 0 },
    { ...work, frame: second, attempts: 0 },
  ];
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
