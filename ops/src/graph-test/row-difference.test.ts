import { expect, it } from "vitest";
import { rowDifference } from "./row-difference.ts";

it.each([
  ["nothing", [], [], [], []],
  ["another order of rows and keys", [{ a: 1, b: 2 }, 3], [3, { b: 2, a: 1 }], [], []],
  ["one that is missing", [1, 2], [2], [1], []],
  ["one that nobody expects", [1], [1, null], [], [null]],
  ["one that came once too often", [1], [1, 1], [], [1]],
  ["one that came once too seldom", [1, 1], [1], [1], []],
  ["one in the place of another", [{ a: "1" }], [{ a: 1 }], [{ a: "1" }], [{ a: 1 }]],
])("%s", (_name, expected, came, missing, unexpected) => {
  expect(rowDifference(expected, came)).toEqual({ missing, unexpected });
});
