import { describe, expect, it } from "vitest";
import { RULE_IDS, type RuleId, SCENARIOS, type SimulationOptions, simulate } from "../src/testing/mod.ts";

const SEEDS = 24;
/** R27 shows only where a late delivery is the last of its key: in one seed of ten. */
const RARE: Partial<Record<RuleId, number>> = { R27: 48 };
const PLANTED_SEEDS = 100;
/** Enough for every scenario to finish once faults have stopped; what is stuck need not be waited for longer. */
const CALM_MS = 120_000;
/** Without R3 all are busy without an end, which takes as much work as one waits. */
const CALM_MS_OF: Partial<Record<RuleId, number>> = { R3: 10_000 };
const TIMEOUT_MS = 120_000;

/** Where the lack of each rule marked * shows; of more than one, in each of them. */
const SHOWN_BY: Readonly<Record<RuleId, string | readonly string[]>> = {
  R1: "diamond",
  R3: "sparse-filter",
  R4: "expansions",
  R7: "stateful-chain",
  R10: "lost-tail",
  R11: "lost-tail",
  R12: "diamond",
  "R13-tick": "timers",
  "R13-results": "undetermined-node",
  "R13-order": "undetermined-node",
  R14: "poison",
  R15: "idle-partitions",
  R16: ["undetermined-node", "two-logs"],
  R17: "unknown-appends",
  R19: "late-records",
  R20: "feedback",
  R21: "branch",
  R22: "revision-change",
  R23: "poison",
  R24: "transient-failures",
  R25: "feedback",
  "R25-alignment": "full-mailbox",
  R27: "unknown-appends",
};

/** The first failure, of a seed that passes when nothing is switched off. */
async function firstFailure(
  name: string,
  seeds: number,
  options: SimulationOptions,
  calmMs = CALM_MS,
): Promise<string | undefined> {
  const scenario = SCENARIOS.find((s) => s.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  for (let seed = 0; seed < seeds; seed++) {
    const { failure } = await simulate(seed, scenario, { calmMs, ...options });
    if (failure === undefined) continue;
    expect((await simulate(seed, scenario, { calmMs })).failure).toBeUndefined();
    return failure;
  }
  return undefined;
}

describe("each rule of the step protocol is needed", () => {
  const shown = RULE_IDS.flatMap((rule) => [SHOWN_BY[rule]].flat().map((scenario) => [rule, scenario] as const));
  it.each(shown)(
    "%s: without it %s breaks an invariant",
    async (rule, scenario) => {
      const failure = await firstFailure(scenario, RARE[rule] ?? SEEDS, { rulesOff: [rule] }, CALM_MS_OF[rule]);
      expect(failure).toMatch(`scenario=${scenario} rulesOff=${rule} : `);
    },
    TIMEOUT_MS,
  );
});

describe("a log that acknowledges before it is durable", () => {
  it(
    `is found within ${PLANTED_SEEDS} seeds`,
    async () => {
      const failure = await firstFailure("chain", PLANTED_SEEDS, { ackBeforeDurable: true });
      expect(failure).toMatch(/ackBeforeDurable : ACKED /);
    },
    TIMEOUT_MS,
  );
});
