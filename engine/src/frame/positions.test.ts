import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePoints, END, type Point } from "./point.ts";
import { Positions } from "./positions.ts";

const pointsOf = (positions: Positions): Point[] => Array.from({ length: positions.n }, (_, i) => positions.point(i));

/** Positions in every form they can have, with the points that they stand for. */
const positions = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 20 })).map(([first, n]) => ({
    made: Positions.dense(first, n),
    points: Array.from({ length: n }, (_, i) => ({ pos: first + i, ord: 0 })),
  })),
  fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }).map((gaps) => {
    let at = -1;
    const points = gaps.map((gap) => {
      at += gap;
      return { pos: at, ord: 0 };
    });
    return { made: Positions.of(Float64Array.from(points, (p) => p.pos)), points };
  }),
  fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 })), { maxLength: 8 }).map((runs) => {
    let at = -1;
    const points: Point[] = [];
    for (const [gap, repeats] of runs) {
      at += gap;
      for (let ord = 0; ord < repeats; ord++) points.push({ pos: at, ord });
    }
    const made = Positions.of(
      Float64Array.from(points, (p) => p.pos),
      Uint32Array.from(points, (p) => p.ord),
    );
    return { made, points };
  }),
);

const cuts = fc.array(
  fc.oneof(
    fc.record({ keep: fc.array(fc.boolean(), { minLength: 32, maxLength: 32 }) }),
    fc.record({ start: fc.double({ min: 0, max: 1, noNaN: true }), end: fc.double({ min: 0, max: 1, noNaN: true }) }),
  ),
  { maxLength: 4 },
);

describe("positions", () => {
  it("stay those of their messages through any sequence of selections and slices", () => {
    fc.assert(
      fc.property(positions, cuts, ({ made, points }, steps) => {
        let actual = made;
        let expected = points;
        for (const step of steps) {
          if ("keep" in step) {
            const kept = expected.map((_, i) => i).filter((i) => step.keep[i % 32]);
            actual = actual.select(Uint32Array.from(kept));
            expected = kept.map((i) => expected[i] as Point);
          } else {
            const a = Math.floor(step.start * expected.length);
            const b = a + Math.floor(step.end * (expected.length - a));
            actual = actual.slice(a, b);
            expected = expected.slice(a, b);
          }
        }
        expect(pointsOf(actual)).toEqual(expected);
      }),
    );
  });

  it("count the messages at or below any cursor", () => {
    fc.assert(
      fc.property(
        positions,
        fc.record({ pos: fc.integer({ min: -1, max: 60 }), ord: fc.constantFrom(0, 1, 2, END) }),
        ({ made, points }, cursor) => {
          expect(made.countThrough(cursor)).toBe(points.filter((p) => comparePoints(p, cursor) <= 0).length);
        },
      ),
    );
  });

  it("know whether a position alone identifies a message", () => {
    expect(Positions.dense(5, 3).oneToOne).toBe(true);
    expect(Positions.of(Float64Array.of(1, 9)).select(Uint32Array.of(1)).oneToOne).toBe(true);
    expect(Positions.of(Float64Array.of(1, 1), Uint32Array.of(0, 1)).slice(1, 2).oneToOne).toBe(false);
  });
});
