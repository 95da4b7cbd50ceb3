import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { editDistance, nearest } from "./nearest.ts";

describe("the nearest name", () => {
  test.each([
    ["flihgts", "flights"],
    ["filtr", "filter"],
    ["Where", "where"],
    ["naem", "name"],
    ["nats", undefined],
    ["zzzzz", undefined],
    ["y", undefined],
  ])("to %s is %s", (word, expected) => {
    expect(nearest(word, ["flights", "filter", "where", "name", "nats", "x"])).toBe(expected);
  });

  test("has a distance that counts one for each edit and each swap", () => {
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("ab", "ba")).toBe(1);
  });

  test("has a distance that is symmetric, and 0 only for equal words", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
