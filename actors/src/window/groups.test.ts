import { expect, test } from "vitest";
import { type Groups, groupsWhere } from "./groups.ts";

const GROUPS: Groups = {
  n: 3,
  starts: Float64Array.of(0, 10, 20),
  keys: [["a"], ["b"], ["c"]],
  cells: [Float64Array.of(1, 2, 3), Float64Array.of(4, 5, 6)],
};

test("groups are picked with their keys and cells by where their windows start", () => {
  expect(groupsWhere(GROUPS, (start) => start !== 10)).toEqual({
    n: 2,
    starts: Float64Array.of(0, 20),
    keys: [["a"], ["c"]],
    cells: [Float64Array.of(1, 3), Float64Array.of(4, 6)],
  });
});

test("groups that are all kept are not copied", () => {
  expect(groupsWhere(GROUPS, () => true)).toBe(GROUPS);
});
