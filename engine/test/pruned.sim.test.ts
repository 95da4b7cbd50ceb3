/**
 * Graphs whose log is pruned while they run, crash and recover: what was carried is as good as what went. Every invariant is checked
 * against the whole history, which only the checks can still see.
 */
import { describe, expect, it } from "vitest";
import { SCENARIOS, simulate } from "../src/testing/mod.ts";
import type { PruneFault } from "../src/testing/simulation/simulated-prune.ts";

const SEEDS = 1;
const FAULT_SEEDS = 2;
/** What has not come to its end by then never does. */
const CALM_MS = 600_000;
const TIMEOUT_MS = 120_000;

describe("every invariant of the step protocol holds on a log that is pruned meanwhile", () => {
  let pruned = 0;
  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
    "in %s",
    async (_name, scenario) => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const result = await simulate(`pruned ${seed}`, scenario, { prune: "sound" });
        expect(result.failure).toBeUndefined();
        pruned += result.pruned;
      }
    },
    TIMEOUT_MS,
  );

  it("of which most went", () => expect(pruned).toBeGreaterThan(1000 * SEEDS));
});

describe("a prune that forgets", () => {
  it.each<[PruneFault, RegExp]>([
    ["output", /I7 /],
    ["state", /I9 |PRUNE /],
  ])(
    "the %s of nodes breaks an invariant",
    async (prune, invariant) => {
      const failures: string[] = [];
      for (const scenario of SCENARIOS.filter(({ name }) => name === "stateful-chain" || name === "sink-kinds"))
        for (let seed = 0; seed < FAULT_SEEDS; seed++)
          failures.push((await simulate(`pruned ${seed}`, scenario, { prune, calmMs: CALM_MS })).failure ?? "");
      expect(failures.filter((failure) => invariant.test(failure))).not.toEqual([]);
    },
    TIMEOUT_MS,
  );
});
