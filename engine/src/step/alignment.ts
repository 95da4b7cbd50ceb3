/**
 * Event-time alignment of the origins that feed a node: what would carry an origin further ahead of the slowest one than the
 * node allows waits in its mailbox. Its lane runs out of credit, and so the source stops reading (R25). The state that a node
 * keeps until watermarks pass it is then bounded by the drift, not by how far one source can read ahead of another.
 *
 * It decides only which frame is taken next. Steps log what was taken, in order (R12), so a replay needs none of it.
 *
 * Nothing waits for ever: the slowest origin always passes, whole origins are compared, so that the branches of a diamond never
 * hold each other, and origins that are idle or have ended hold nobody. Feedback lanes take no part (R20). What carries no
 * message, comes again or comes after a gap is never held: marks, probes and resend requests go their way.
 */
import type { Frame, FrameHead } from "../frame/frame.ts";
import { comparePoints } from "../frame/point.ts";
import { type LaneCursor, type LaneProgress, progressAfter } from "./lane-cursor.ts";
import { leastWatermark } from "./step-chain.ts";

export interface AlignmentOptions {
  /** How far an origin may be ahead of the slowest one, in ms of event time. A frame of the slowest may carry it further. */
  readonly maxDriftMs: number;
}

interface AlignedLane {
  readonly cursor: LaneCursor;
  readonly origin: AlignedOrigin;
  readonly feedback: false;
  /** As of what was admitted, which may be ahead of what was computed. */
  progress: LaneProgress;
}

interface AlignedOrigin {
  readonly lanes: AlignedLane[];
  /** Of its furthest behind lane that is not idle. */
  watermark: number;
  /** It may still bring older messages than others. */
  isAwaited: boolean;
}

export class Alignment {
  readonly #maxDriftMs: number;
  readonly #origins: readonly AlignedOrigin[];
  readonly #byPath = new Map<number, AlignedLane>();
  #slowest: AlignedOrigin | undefined;
  #isReleased = false;

  /** `lanes` stand where their node's stream ends. */
  constructor(lanes: readonly LaneCursor[], { maxDriftMs }: AlignmentOptions) {
    this.#maxDriftMs = maxDriftMs;
    const origins = new Map<LaneCursor["origin"], AlignedOrigin>();
    for (const cursor of lanes) {
      if (cursor.feedback) continue;
      const origin = origins.get(cursor.origin) ?? { lanes: [], watermark: Number.NEGATIVE_INFINITY, isAwaited: true };
      const lane: AlignedLane = { cursor, origin, feedback: false, progress: cursor.progress };
      origins.set(cursor.origin, origin);
      origin.lanes.push(lane);
      this.#byPath.set(cursor.path, lane);
    }
    this.#origins = [...origins.values()];
    for (const origin of this.#origins) update(origin);
    this.#slowest = this.#findSlowest();
  }

  /** Path of a lane of the origin that the others wait for. */
  get slowestPath(): number | undefined {
    return this.#slowest?.lanes[0]?.cursor.path;
  }

  /** False for a frame that must wait. */
  readonly mayTake = (frame: Frame): boolean => {
    const lane = this.#byPath.get(frame.head.path);
    const slowest = this.#slowest;
    if (this.#isReleased || lane === undefined || slowest === undefined) return true;
    if (lane.origin.watermark <= slowest.watermark || !isNewData(frame, lane.cursor)) return true;
    return watermarkWith(lane, frame.head) <= slowest.watermark + this.#maxDriftMs;
  };

  /** A frame was taken. */
  admitted(head: FrameHead): void {
    const lane = this.#byPath.get(head.path);
    if (lane === undefined) return;
    lane.progress = progressAfter(lane.progress, head);
    update(lane.origin);
    this.#slowest = this.#findSlowest();
  }

  /** Holds nothing back any more: sources stop where they are told to, however far apart that is (R22). */
  release(): void {
    this.#isReleased = true;
  }

  #findSlowest(): AlignedOrigin | undefined {
    let slowest: AlignedOrigin | undefined;
    for (const origin of this.#origins) {
      if (origin.isAwaited && (slowest === undefined || origin.watermark < slowest.watermark)) slowest = origin;
    }
    return slowest;
  }
}

function update(origin: AlignedOrigin): void {
  origin.watermark = leastWatermark(origin.lanes) as number;
  const isIdle = origin.lanes.every(({ progress }) => progress.idle);
  origin.isAwaited = !isIdle && origin.watermark < Number.POSITIVE_INFINITY;
}

function isNewData(frame: Frame, { cursor }: LaneCursor): boolean {
  const { from, to } = frame.head;
  if (frame.n === 0 && frame.dead.length === 0) return false;
  return comparePoints(from, cursor) <= 0 && comparePoints(to, cursor) > 0;
}

/** Where the frame takes its lane's origin. The last frame of all says only that nothing comes after it. */
function watermarkWith(lane: AlignedLane, { watermark }: FrameHead): number {
  const before = lane.progress.watermark;
  let least = watermark === Number.POSITIVE_INFINITY ? before : Math.max(before, watermark);
  for (const other of lane.origin.lanes)
    if (other !== lane && !other.progress.idle) least = Math.min(least, other.progress.watermark);
  return least;
}
