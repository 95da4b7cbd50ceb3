import { describe, expect, it } from "vitest";
import { history } from "./random-faults.ts";

/** `LOG_SIM_SEEDS=2000 vitest run …` is the long form; `LOG_SIM_SEED=17` repeats one. */
const SEEDS = Number(process.env.LOG_SIM_SEEDS ?? 15);
const ONLY = process.env.LOG_SIM_SEED;
const MINUTES_MS = 60_000;

describe("a log under random faults", () => {
  it(
    `keeps what it acknowledged and always opens, over ${SEEDS} seeds`,
    async () => {
      const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, i) => i) : [Number(ONLY)];
      const total = {
        acknowledged: 0,
        tailsCut: 0,
        crashesInRecovery: 0,
        powerCuts: 0,
        kills: 0,
        syncErrors: 0,
        delayedWrites: 0,
      };
      for (const seed of seeds) {
        const run = await history(seed);
        expect(run.violations, `LOG_SIM_SEED=${seed}`).toEqual([]);
        for (const key of ["acknowledged", "tailsCut", "crashesInRecovery"] as const) total[key] += run[key];
        for (const key of ["powerCuts", "kills", "syncErrors", "delayedWrites"] as const) total[key] += run.faults[key];
      }
      if (ONLY !== undefined) return;
      for (const [fault, count] of Object.entries(total)) expect(count, fault).toBeGreaterThan(0);
    },
    30 * MINUTES_MS,
  );

  it("gives the same history for the same seed", async () => {
    expect(await history(5)).toEqual(await history(5));
  });
});
