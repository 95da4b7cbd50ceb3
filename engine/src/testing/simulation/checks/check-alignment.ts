import { type LaneProgress, progressAfter, START_PROGRESS } from "../../../step/lane-cursor.ts";
import type { ModelLane } from "./lane-model.ts";
import type { NodeHistory } from "./node-history.ts";
import { holds } from "./violation.ts";

interface Standing {
  readonly origin: string;
  progress: LaneProgress;
}

/** R25: no message was taken of an origin that was further ahead in event time than its node allows. */
export function checkAlignment(history: NodeHistory, lanes: readonly ModelLane[], maxDriftMs: number): void {
  const all = new Map<string, Standing>();
  for (const { name, origin, feedback, beginWatermark } of lanes) {
    const progress = { ...START_PROGRESS, watermark: beginWatermark };
    if (!feedback) all.set(name, { origin, progress });
  }
  const byNumber: (Standing | undefined)[] = [];
  for (const { step, revision } of history.steps) {
    for (const { lane, name } of step.opened) byNumber[lane] = all.get(name);
    for (const input of step.inputs) {
      const standing = byNumber[input.lane];
      if (standing === undefined) continue;
      const aheadMs = input.messages === 0 ? 0 : aheadOf(standing.origin, [...all.values()]);
      holds(
        aheadMs <= maxDriftMs,
        "R25",
        () => `${history.node} step ${revision}: takes of ${standing.origin} while it is ${aheadMs} ms ahead`,
      );
      standing.progress = progressAfter(standing.progress, input);
    }
  }
}

/** How far an origin's own slowest lane is ahead of the slowest one of any other that may still bring something. */
function aheadOf(origin: string, all: readonly Standing[]): number {
  const live = all.filter(({ progress }) => !progress.idle && progress.watermark < Number.POSITIVE_INFINITY);
  const own = all.filter((standing) => standing.origin === origin).map(({ progress }) => progress.watermark);
  const others = live.filter((standing) => standing.origin !== origin).map(({ progress }) => progress.watermark);
  const ahead = Math.min(...own) - Math.min(...others);
  // Not a number where neither has a watermark yet.
  return ahead > 0 ? ahead : 0;
}
