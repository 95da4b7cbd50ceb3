import { expect, it } from "vitest";
import { LagBounds } from "./lag-bound.ts";

/** What the looks say at these lags, of which the first is that of the beginning. */
function reachedAt(lags: readonly number[], lagMax: number): (number | undefined)[] {
  const bounds = new LagBounds();
  let lag = lags[0] as number;
  bounds.add({ name: "tree", lag: () => lag, lagMax });
  return lags.slice(1).map((next) => {
    lag = next;
    const excess = bounds.look();
    expect(bounds.isReached).toBe(excess !== undefined);
    return excess?.waitingMax;
  });
}

it("is reached at the bound, and left when the follower has come nearer", () => {
  expect(reachedAt([0, 9, 10, 25, 9], 10)).toEqual([undefined, 10, 10, undefined]);
});

it("does not refuse what comes while a follower that began far behind catches up, but what drives it further away", () => {
  expect(reachedAt([1000, 1009, 500, 509, 510, 0, 10], 10)).toEqual([
    undefined,
    undefined,
    undefined,
    510,
    undefined,
    10,
  ]);
});

it("ends with its follower", () => {
  const bounds = new LagBounds();
  const end = bounds.add({ name: "tree", lag: () => 5, lagMax: 0 });
  expect(bounds.look()).toEqual({ name: "tree", waiting: 5, waitingMax: 5 });
  end();
  expect([bounds.isReached, bounds.look()]).toEqual([false, undefined]);
});
