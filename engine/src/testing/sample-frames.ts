/** Frames for tests: every field of the head has a default and can be overridden. */
import { RowBatch } from "../frame/batch.ts";
import { Frame, type FrameHead } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { END, type Point, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";

/** Covers `(-1, 0]` of path 0, revision 1, without watermark, mark or trace. */
export function sampleHead(overrides: Partial<FrameHead> = {}): FrameHead {
  return {
    path: 0,
    generation: 0,
    epoch: 0,
    revision: 1,
    from: wholly(-1),
    to: wholly(0),
    watermark: Number.NEGATIVE_INFINITY,
    exact: true,
    idle: false,
    mark: null,
    shed: 0,
    trace: null,
    bornMs: 0,
    ...overrides,
  };
}

/** Rows at the dense positions `first …`; the range ends with the last of them and begins where the one before ended. */
export function sampleFrame(first: number, rows: readonly Json[], overrides: Partial<FrameHead> = {}): Frame {
  const head = sampleHead({ from: wholly(first - 1), to: wholly(first + rows.length - 1), ...overrides });
  return new Frame(head, new RowBatch(rows), Positions.dense(first, rows.length));
}

/** An empty range `(after, through]` of whole positions. */
export function emptyFrame(after: number, through: number, overrides: Partial<FrameHead> = {}): Frame {
  return Frame.empty(sampleHead({ from: wholly(after), to: wholly(through), ...overrides }));
}

/** `pos.ord row` of every message, for comparison. */
export function messagesOf(
  frame: Frame,
): readonly { readonly pos: number; readonly ord: number; readonly row: Json }[] {
  return frame.batch.rows().map((row, i) => ({ ...frame.positions.point(i), row }));
}

/** A point inside an expansion. */
export function within(pos: number, ord: number): Point {
  return { pos, ord: Math.min(ord, END) };
}
