import { describe, expect, it } from "vitest";
import { nextPathOf } from "./next-path.ts";

describe("the paths along an edge", () => {
  it.each([0, 1, 2, 3])("are found by the path before it, and no others: %i of them", (n) => {
    const paths = Array.from({ length: n }, (_, i) => [10 + i, 20 + i] as const);
    const next = nextPathOf(paths);
    expect([...next.keys()].map((before) => [before, next.get(before)])).toEqual(paths);
    expect([...next.values()]).toEqual(paths.map(([, after]) => after));
    expect([9, 10 + n, 20].map((before) => next.get(before))).toEqual([undefined, undefined, undefined]);
  });
});
