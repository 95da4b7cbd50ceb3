import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reportOf } from "../errors.ts";
import { messagesOf, sampleFrame, sampleHead, within } from "../testing/sample-frames.ts";
import { RowBatch } from "./batch.ts";
import { type DeadItem, Frame, type LateMark } from "./frame.ts";
import { comparePoints, type Point, wholly } from "./point.ts";
import { Positions } from "./positions.ts";

function deadAt(point: Point): DeadItem {
  return { ...point, node: "n", attempts: 1, error: reportOf(new Error("no")), input: null };
}

/** A frame with expansions, holes, dead items between the messages and late marks. */
const frames = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 1, max: 4 }),
      fates: fc.array(fc.constantFrom("live", "dead"), { minLength: 1, maxLength: 4 }),
      late: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  .map((runs) => {
    const live: Point[] = [];
    const dead: DeadItem[] = [];
    const late: LateMark[] = [];
    let pos = -1;
    for (const run of runs) {
      pos += run.gap;
      run.fates.forEach((fate, ord) => {
        if (fate === "live") live.push({ pos, ord });
        else dead.push(deadAt({ pos, ord }));
      });
      if (run.late) late.push({ pos, watermark: pos * 10 });
    }
    const positions = Positions.of(
      Float64Array.from(live, (p) => p.pos),
      Uint32Array.from(live, (p) => p.ord),
    );
    const head = sampleHead({ to: wholly(pos + 3), watermark: 70, idle: true, shed: 2, mark: null });
    return new Frame(head, new RowBatch(live.map((p) => `${p.pos}.${p.ord}`)), positions, dead, late);
  });

/** Cuts a frame at random until the numbers run out. */
function cutUp(frame: Frame, where: readonly number[]): Frame[] {
  const [first, ...rest] = where;
  if (first === undefined || frame.n < 2) return [frame];
  const [left, right] = frame.cutBefore(1 + (first % (frame.n - 1)), 5);
  const half = rest.length >> 1;
  return [...cutUp(left, rest.slice(0, half)), ...cutUp(right, rest.slice(half))];
}

describe("a frame", () => {
  it("gives the same messages and dead items whatever it is cut into", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(100), { maxLength: 8 }), (frame, where) => {
        const parts = cutUp(frame, where);
        expect(parts.flatMap(messagesOf)).toEqual(messagesOf(frame));
        expect(parts.flatMap((part) => part.dead)).toEqual(frame.dead);
      }),
    );
  });

  it("gives parts whose ranges chain from its start to its end", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(100), { maxLength: 8 }), (frame, where) => {
        const parts = cutUp(frame, where);
        let at = frame.head.from;
        for (const part of parts) {
          expect(part.head.from).toEqual(at);
          for (const { pos, ord } of messagesOf(part)) {
            expect(comparePoints({ pos, ord }, part.head.from)).toBeGreaterThan(0);
            expect(comparePoints({ pos, ord }, part.head.to)).toBeLessThanOrEqual(0);
          }
          at = part.head.to;
        }
        expect(at).toEqual(frame.head.to);
      }),
    );
  });

  it("gives its watermark, idleness and shed count to the last part only", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(100), { maxLength: 8 }), (frame, where) => {
        const parts = cutUp(frame, where);
        for (const part of parts.slice(0, -1)) {
          expect(part.head).toMatchObject({ exact: false, watermark: 5, idle: false, shed: 0, mark: null });
        }
        expect(parts.at(-1)?.head).toMatchObject({ exact: true, watermark: 70, idle: true, shed: 2 });
      }),
    );
  });

  it("keeps a late mark in every part that has a message of its position", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(100), { maxLength: 8 }), (frame, where) => {
        const lateOf = (f: Frame): number[] =>
          messagesOf(f)
            .filter((m) => f.late.some((l) => l.pos === m.pos))
            .map((m) => m.pos);
        expect(cutUp(frame, where).flatMap(lateOf)).toEqual(lateOf(frame));
      }),
    );
  });

  it("is trimmed to what lies above a cursor", () => {
    const cursors = fc.record({ pos: fc.integer({ min: -1, max: 20 }), ord: fc.constantFrom(0, 1, 2, wholly(0).ord) });
    fc.assert(
      fc.property(frames, cursors, (frame, cursor) => {
        fc.pre(comparePoints(cursor, frame.head.from) >= 0 && comparePoints(cursor, frame.head.to) <= 0);
        const left = frame.trimmed(cursor);
        expect(left.head).toEqual({ ...frame.head, from: cursor });
        expect(messagesOf(left)).toEqual(messagesOf(frame).filter((m) => comparePoints(m, cursor) > 0));
        expect(left.dead).toEqual(frame.dead.filter((d) => comparePoints(d, cursor) > 0));
      }),
    );
  });

  it("is trimmed inside an expansion, message by message", () => {
    const batch = new RowBatch(["a", "b", "c"]);
    const frame = new Frame(
      sampleHead({ to: wholly(4) }),
      batch,
      Positions.of(Float64Array.of(4, 4, 4), Uint32Array.of(0, 1, 2)),
    );
    expect(frame.trimmed(within(4, 1)).batch.rows()).toEqual(["c"]);
  });

  it("goes along an edge with only its path changed", () => {
    const frame = sampleFrame(3, ["x"]);
    expect(frame.along(9).head).toEqual({ ...frame.head, path: 9 });
    expect(frame.along(9).batch).toBe(frame.batch);
  });
});
