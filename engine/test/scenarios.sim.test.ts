import { afterAll, describe, expect, it } from "vitest";
import { SCENARIOS, simulate } from "../src/testing/mod.ts";

const SEEDS = 14;
const VIRTUAL_HOURS_MIN = 24;
const HOUR_MS = 3_600_000;
const TIMEOUT_MS = 240_000;

let virtualMs = 0;
let crashes = 0;
let framesDropped = 0;

describe("every invariant of the step protocol holds under faults", () => {
  for (const scenario of SCENARIOS) {
    it(
      `in ${scenario.name} (§10: ${scenario.covers.join(", ")})`,
      async () => {
        for (let seed = 0; seed < SEEDS; seed++) {
          const result = await simulate(seed, scenario);
          expect(result.failure).toBeUndefined();
          virtualMs += result.virtualMs;
          crashes += result.crashes;
          framesDropped += result.framesDropped;
        }
      },
      TIMEOUT_MS,
    );
  }

  it("for a day of virtual time, with crashes and losses in it", () => {
    expect(virtualMs / HOUR_MS).toBeGreaterThanOrEqual(VIRTUAL_HOURS_MIN);
    expect(crashes).toBeGreaterThan(0);
    expect(framesDropped).toBeGreaterThan(0);
  });
});

afterAll(() => {
  const hours = (virtualMs / HOUR_MS).toFixed(1);
  process.stdout.write(`SIM ${hours} virtual hours, ${crashes} crashes, ${framesDropped} frames dropped\n`);
});

describe("a simulation", () => {
  it("is the same history for the same seed", async () => {
    const [scenario] = SCENARIOS;
    if (scenario === undefined) return;
    const runs = await Promise.all([simulate("again", scenario), simulate("again", scenario)]);
    expect(runs[0]).toEqual(runs[1]);
    expect(await simulate("other", scenario)).not.toEqual(runs[0]);
  });
});
