/**
 * What a pure node holds for a lane while it passes: where the next frame must start and, if it expands messages, how many
 * outputs each port has given the `pos` at the edge of the last frame. Ordinals are numbered per (lane, pos) in output order
 * and must go on where a frame was cut inside an expansion (R4, R5).
 */
import type { DeadItem, Frame } from "../frame/frame.ts";
import { comparePoints, END, type Point } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";

export interface LanePass {
  /** Where the next frame must start. */
  next: Point;
  epoch: number;
  /** Per port: the `pos` that was numbered last, and its next ordinal. */
  readonly pos: number[];
  readonly nextOrd: number[];
  /** Per port: the end of the last frame in output ordinals. */
  readonly ended: Point[];
}

export function newLanePass(next: Point, epoch: number): LanePass {
  return { next, epoch, pos: [], nextOrd: [], ended: [] };
}

/**
 * Numbers what an expanding node made from a frame, outputs and dead items alike, in input order. `sources` is `null` when each
 * message gave one output.
 */
export function renumbered(
  frame: Frame,
  sources: Uint32Array | null,
  n: number,
  dead: readonly DeadItem[],
  pass: LanePass,
  port: number,
): { positions: Positions; dead: readonly DeadItem[] } {
  const offsets = new Float64Array(n);
  const ords = new Uint32Array(n);
  const numberedDead: DeadItem[] = [];
  const numberDeadBefore = (point: Point | undefined): void => {
    for (let d = dead[numberedDead.length]; d !== undefined; d = dead[numberedDead.length]) {
      if (point !== undefined && comparePoints(d, point) > 0) return;
      numberedDead.push({ ...d, ord: nextOrd(pass, port, d.pos) });
    }
  };
  for (let i = 0; i < n; i++) {
    const point = frame.positions.point(sources === null ? i : (sources[i] as number));
    numberDeadBefore(point);
    offsets[i] = point.pos;
    ords[i] = nextOrd(pass, port, point.pos);
  }
  numberDeadBefore(undefined);
  return { positions: Positions.of(offsets, ords), dead: numberedDead };
}

function nextOrd(pass: LanePass, port: number, pos: number): number {
  if (pass.pos[port] !== pos) {
    pass.pos[port] = pos;
    pass.nextOrd[port] = 0;
  }
  const ord = pass.nextOrd[port] as number;
  pass.nextOrd[port] = ord + 1;
  return ord;
}

/** The range of the frame in output ordinals: inside an expansion it ends after the outputs that were numbered so far. */
export function outRange(frame: Frame, pass: LanePass, port: number): { from: Point; to: Point } {
  const { from, to } = frame.head;
  const start = from.ord === END ? from : (pass.ended[port] ?? from);
  const numbered = pass.pos[port] === to.pos ? (pass.nextOrd[port] as number) - 1 : -1;
  const end = to.ord === END ? to : { pos: to.pos, ord: numbered };
  pass.ended[port] = end;
  return { from: start, to: end };
}
