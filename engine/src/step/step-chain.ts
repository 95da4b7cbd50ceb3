/**
 * What the steps of a node's stream add up to, apart from the behavior's own state: cursors, emit sequences, tick, output
 * watermark. The live actor and recovery build it the same way, from step records alone.
 */

import { type Point, START } from "../frame/point.ts";
import { type LaneProgress, progressAfter, START_PROGRESS } from "./lane-cursor.ts";
import type { Emitted, LaneOpened, StepRecord } from "./step-record.ts";

/** A lane as far as the stream tells. */
export interface ChainLane {
  readonly number: number;
  readonly name: string;
  cursor: Point;
  progress: LaneProgress;
}

export class StepChain {
  /** Revision of the last event of the stream; -1 when it is empty. */
  revision = -1;
  epoch = -1;
  at = 0;
  steps = 0;
  readonly lanes = new Map<string, ChainLane>();
  /** Next sequence number per port. */
  readonly nextSeq = new Map<string, number>();
  /** The node's own watermark after the last step. */
  watermark: number = Number.NEGATIVE_INFINITY;
  out = { watermark: Number.NEGATIVE_INFINITY, idle: false };
  readonly #byNumber: ChainLane[] = [];

  open(opened: LaneOpened): ChainLane {
    const lane: ChainLane = { number: opened.lane, name: opened.name, cursor: START, progress: START_PROGRESS };
    this.lanes.set(lane.name, lane);
    this.#byNumber[lane.number] = lane;
    return lane;
  }

  fold(step: StepRecord): void {
    for (const opened of step.opened) this.open(opened);
    for (const input of step.inputs) {
      const lane = this.#byNumber[input.lane];
      if (lane === undefined) continue;
      lane.cursor = input.to;
      lane.progress = progressAfter(lane.progress, input);
    }
    for (const emitted of step.emitted) this.emitted(emitted);
    this.at = Math.max(this.at, step.at);
    this.watermark = step.watermark;
    this.out = { ...step.out };
    this.steps++;
  }

  emitted(emitted: Pick<Emitted, "port" | "firstSeq" | "count">): void {
    this.nextSeq.set(emitted.port, emitted.firstSeq + emitted.count);
  }
}

/**
 * Minimum over lanes that are not idle, feedback ones left out (R20). Where all of them are idle none holds the node back, so the
 * furthest counts: what a lane said before it fell silent must not depend on whether both came in one step. `undefined`: no lanes.
 */
export function leastWatermark(lanes: Iterable<{ progress: LaneProgress; feedback: boolean }>): number | undefined {
  let least: number | undefined;
  let furthest: number | undefined;
  for (const { progress, feedback } of lanes) {
    if (feedback) continue;
    const { watermark, idle } = progress;
    if (furthest === undefined || watermark > furthest) furthest = watermark;
    if (!idle && (least === undefined || watermark < least)) least = watermark;
  }
  return least ?? furthest;
}
