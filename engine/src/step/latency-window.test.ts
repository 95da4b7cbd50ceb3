import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { virtualEnv } from "../testing/virtual-env.ts";
import { LatencyWindow } from "./latency-window.ts";

describe("a window of latencies", () => {
  it("knows nothing before the first figure", () => {
    expect(new LatencyWindow(virtualEnv("latency").clock).quantile(0.99)).toBeNull();
  });

  it("gives a quantile that is at most one bucket above the exact one, weighted by messages", () => {
    const figure = fc.record({
      ms: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
      weight: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(
        fc.array(figure, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (figures, q) => {
          const window = new LatencyWindow(virtualEnv("latency").clock);
          for (const { ms, weight } of figures) window.note(ms, weight);
          const all = figures.flatMap(({ ms, weight }) => Array<number>(weight).fill(ms)).sort((a, b) => a - b);
          const exact = all[Math.ceil(all.length * q) - 1] as number;
          const estimate = window.quantile(q) as number;
          expect(estimate).toBeGreaterThanOrEqual(exact * 0.999);
          expect(estimate).toBeLessThanOrEqual(exact * 2 ** 0.25 * 1.001);
        },
      ),
    );
  });

  it("takes anything above its range for the longest", () => {
    const window = new LatencyWindow(virtualEnv("latency").clock);
    window.note(1e9, 1);
    window.note(-5, 1);
    expect(window.quantile(1)).toBeGreaterThan(16_000);
    expect(window.quantile(0.5)).toBeLessThan(0.01);
  });

  it("forgets figures after ten to twenty seconds, also when nothing was noted since", async () => {
    const env = virtualEnv("latency");
    const window = new LatencyWindow(env.clock);
    window.note(500, 1);
    await env.advance(9_900);
    expect(window.quantile(0.99)).toBeGreaterThan(400);
    await env.advance(200);
    window.note(1, 1);
    expect(window.quantile(0.99)).toBeGreaterThan(400);
    await env.advance(10_100);
    expect(window.quantile(0.99)).toBeLessThan(2);
    await env.advance(60_000);
    expect(window.quantile(0.99)).toBeNull();
  });
});
