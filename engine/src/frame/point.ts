/**
 * Where a lane stands. A point is `(pos, ord)`: `pos` is a place in the origin (a source's own offset, holes allowed, or the
 * dense emit sequence of an edge), `ord` the index of a message within what that one `pos` expands to on the lane
 * (step-protocol §1). Everything at or below a lane's cursor is in the receiver's state, outputs, target or dead letters.
 */

/** `ord` of a point that covers all of its `pos`. */
export const END = 0xffff_ffff;

export interface Point {
  /** Integer in `[-1, 2^53)`; -1 stands before the first message. */
  readonly pos: number;
  /** Integer in `[0, END]`. */
  readonly ord: number;
}

/** Before the first message of any origin. */
export const START: Point = { pos: -1, ord: END };

/** The point that covers all of `pos`. */
export function wholly(pos: number): Point {
  return { pos, ord: END };
}

/** Lexicographic: negative when `a` is before `b`. */
export function comparePoints(a: Point, b: Point): number {
  return a.pos - b.pos || a.ord - b.ord;
}

export function leastPoint(points: Iterable<Point>): Point | undefined {
  let least: Point | undefined;
  for (const p of points) if (least === undefined || comparePoints(p, least) < 0) least = p;
  return least;
}

export function formatPoint(p: Point): string {
  return p.ord === END ? String(p.pos) : `${p.pos}.${p.ord}`;
}
