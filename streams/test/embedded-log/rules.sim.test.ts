import { describe, expect, it } from "vitest";
import type { Rule } from "../../src/embedded/rules.ts";
import { scenarios } from "./rule-scenarios.ts";
import { type Scenario, Stage } from "./scenario.ts";

/** Rules that hold are tried less long than rules that are off are searched: random-faults tries them all together. */
const HOLDING_SEEDS = Number(process.env.LOG_SIM_SEEDS ?? 60);

/** What the first failing seed violated. */
async function firstViolation(
  scenario: Scenario,
  rulesOff: readonly Rule[],
  seeds: number,
  failure: RegExp = /./,
): Promise<string | undefined> {
  for (let seed = 0; seed < seeds; seed++) {
    const stage = new Stage(seed, rulesOff);
    await scenario.run(stage);
    const violated = stage.model.violations.join("; ");
    if (failure.test(violated)) return `seed ${seed}: ${violated}`;
  }
  return undefined;
}

describe("each rule of the log prevents a failure", () => {
  for (const scenario of scenarios) {
    it(`${scenario.rule}: ${scenario.title}: nothing is violated while it holds`, async () => {
      expect(await firstViolation(scenario, [], Math.min(scenario.seeds, HOLDING_SEEDS))).toBeUndefined();
    });

    it(`${scenario.rule}: ${scenario.title}: it goes wrong without the rule`, async () => {
      expect(await firstViolation(scenario, [scenario.rule], scenario.seeds, scenario.failure)).toMatch(/^seed \d+/);
    });
  }
});
