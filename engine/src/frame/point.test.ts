import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePoints, END, formatPoint, leastPoint, START, wholly } from "./point.ts";

const point = fc.record({ pos: fc.integer({ min: -1, max: 5 }), ord: fc.constantFrom(0, 1, 2, END) });

describe("points", () => {
  it("order by position first and ordinal second", () => {
    expect(comparePoints({ pos: 1, ord: END }, { pos: 2, ord: 0 })).toBeLessThan(0);
    expect(comparePoints({ pos: 2, ord: 1 }, { pos: 2, ord: 0 })).toBeGreaterThan(0);
    expect(comparePoints(wholly(3), wholly(3))).toBe(0);
    expect(comparePoints(START, { pos: 0, ord: 0 })).toBeLessThan(0);
  });

  it("have a least one that is at or below all others", () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1 }), (points) => {
        const least = leastPoint(points);
        expect(points).toContainEqual(least);
        for (const p of points) expect(comparePoints(least ?? START, p)).toBeLessThanOrEqual(0);
      }),
    );
    expect(leastPoint([])).toBeUndefined();
  });

  it("read as the position alone when they cover all of it", () => {
    expect(formatPoint(wholly(7))).toBe("7");
    expect(formatPoint({ pos: 7, ord: 2 })).toBe("7.2");
  });
});
