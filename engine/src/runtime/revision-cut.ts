/**
 * Where one graph revision ends and the next begins (R22). The host logs the targets as an intent, lets the old revision run to
 * them, and logs the points that were reached as the activation; a crash in between starts the old revision again, with the same
 * targets. All lanes of the new plan begin at the points of their origins, whatever they are called.
 */

import type { Anchor } from "../frame/anchor.ts";
import { comparePoints, wholly } from "../frame/point.ts";
import type { LaneCursor } from "../step/lane-cursor.ts";
import { START_PROGRESS } from "../step/lane-cursor.ts";

/** How far the old revision must run: sources by their own offsets. */
export interface CutTarget {
  /** Name of the origin in the plan. */
  readonly origin: string;
  readonly pos: number;
}

/** Where an origin stood when the new revision took effect. */
export interface CutPoint extends Anchor {
  readonly origin: string;
}

/** Starts a lane that the stream does not know, or knows only from before the cut, at the cut. */
export function beginAt(lane: LaneCursor, point: Anchor): void {
  const cursor = wholly(point.pos);
  if (comparePoints(lane.cursor, cursor) >= 0) return;
  lane.recover(cursor, {
    ...START_PROGRESS,
    watermark: point.watermark,
    anchor: { pos: point.pos, watermark: point.watermark },
  });
}
