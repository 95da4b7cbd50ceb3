/** Which lane of a mailbox is served next. Disciplines never reorder within a lane: that would be loss (R6). */
import type { LaneQueue } from "./lane-queue.ts";

/** Picks a lane with something in it; `undefined` when none has. Called once for each frame that is taken. */
export type Discipline = (lanes: readonly LaneQueue[]) => LaneQueue | undefined;

/** The lane whose oldest frame came first. */
export const fifo: Discipline = (lanes) => best(lanes, (lane) => -lane.arrival);

/** The lane whose oldest frame came last: fresh lanes before stale ones. */
export const lifo: Discipline = (lanes) => best(lanes, (lane) => lane.arrival);

/** The lane with the highest rank; a lane gains one rank per `agingFrames` arrivals that it has waited. */
export function priority(rankOf: (path: number) => number, agingFrames = 64): Discipline {
  return (lanes) => {
    let newest = 0;
    for (const lane of lanes) if (lane.length > 0) newest = Math.max(newest, lane.arrival);
    return best(lanes, (lane) => rankOf(lane.path) + (newest - lane.arrival) / agingFrames);
  };
}

/** The lane whose oldest message has waited closest to its lane's deadline, in ms after it was born. */
export function deadline(withinMs: (path: number) => number): Discipline {
  return (lanes) => best(lanes, (lane) => -((lane.head()?.head.bornMs ?? 0) + withinMs(lane.path)));
}

/**
 * Lanes take turns by messages served, so that a busy lane cannot starve a quiet one. A lane that comes back after a pause gets
 * no credit for it (start-time fair queueing, Goyal, Vin and Cheng 1996).
 */
export function fair(): Discipline {
  const served = new Map<number, number>();
  let now = 0;
  return (lanes) => {
    const lane = best(lanes, (l) => -(served.get(l.path) ?? 0));
    if (lane === undefined) return undefined;
    now = Math.max(now, served.get(lane.path) ?? 0);
    served.set(lane.path, now + Math.max(1, lane.head()?.n ?? 0));
    return lane;
  };
}

function best(lanes: readonly LaneQueue[], score: (lane: LaneQueue) => number): LaneQueue | undefined {
  let found: LaneQueue | undefined;
  let top = Number.NEGATIVE_INFINITY;
  for (const lane of lanes) {
    if (lane.length === 0) continue;
    const value = score(lane);
    if (found === undefined || value > top) {
      found = lane;
      top = value;
    }
  }
  return found;
}
