import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { virtualEnv } from "../testing/virtual-env.ts";
import { backoffDelayMs, DEFAULT_RESTART_POLICY, FailureWindow } from "./restart-policy.ts";

describe("the wait before a restart", () => {
  it("doubles with each failure up to its limit", () => {
    const env = virtualEnv("back-off");
    const policy = { backoffMs: 100, backoffMaxMs: 1000, jitter: 0 };
    const waits = [1, 2, 3, 4, 5, 6, 1000].map((failures) => backoffDelayMs(policy, failures, env));
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
  });

  it("varies by no more than its jitter, and does vary", () => {
    const env = virtualEnv("jitter");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
        const exact = backoffDelayMs({ ...DEFAULT_RESTART_POLICY, jitter: 0 }, failures, env);
        const wait = backoffDelayMs({ ...DEFAULT_RESTART_POLICY, jitter }, failures, env);
        expect(Math.abs(wait - exact)).toBeLessThanOrEqual(exact * jitter + 1e-9);
      }),
    );
    const waits = Array.from({ length: 20 }, () => backoffDelayMs(DEFAULT_RESTART_POLICY, 1, env));
    expect(new Set(waits).size).toBeGreaterThan(10);
  });
});

describe("failures within a period", () => {
  it("are counted as a list of times would count them", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 }), (gaps) => {
        const window = new FailureWindow(100);
        const times: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          times.push(now);
          expect(window.note(now)).toBe(times.filter((t) => t >= now - 100).length);
        }
      }),
    );
  });

  it("begin anew after they are cleared", () => {
    const window = new FailureWindow(100);
    window.note(1);
    window.note(2);
    window.clear();
    expect(window.note(3)).toBe(1);
  });
});
