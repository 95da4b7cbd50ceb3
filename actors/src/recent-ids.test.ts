import { expect, it } from "vitest";
import { RecentIds } from "./recent-ids.ts";

it("remembers the newest ids and no more, of a step in the making only once it is sealed", () => {
  const ids = new RecentIds(3);
  for (const id of ["a", "b", "c", "d"]) {
    expect(ids.isFirst(id)).toBe(true);
    ids.seal();
  }
  expect(ids.snapshot()).toEqual(["b", "c", "d"]);
  expect(["d", "a", "a"].map((id) => ids.isFirst(id))).toEqual([false, true, false]);
  ids.discard();
  expect(ids.isFirst("a")).toBe(true);
  ids.restore(["1", "2", "3", "4"]);
  expect(ids.snapshot()).toEqual(["2", "3", "4"]);
});
