import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemEnv } from "./system-env.ts";

const DAY_MS = 86_400_000;

describe("a timer of the machine", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it("fires once, when it is due, also after more days than Node can wait at once", () => {
    for (const days of [1, 24, 25, 60]) {
      let fired = 0;
      systemEnv().timers.after(days * DAY_MS, () => fired++);
      vi.advanceTimersByTime(days * DAY_MS - 1);
      expect(fired, `${days} days`).toBe(0);
      vi.advanceTimersByTime(1);
      expect(fired, `${days} days`).toBe(1);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it("never fires when it is cancelled, also in the middle of a long wait", () => {
    let fired = 0;
    const timer = systemEnv().timers.after(60 * DAY_MS, () => fired++);
    vi.advanceTimersByTime(40 * DAY_MS);
    timer.cancel();
    vi.advanceTimersByTime(40 * DAY_MS);
    expect([fired, vi.getTimerCount()]).toEqual([0, 0]);
  });
});

describe("a timer of the machine, by its clock", () => {
  it("never fires too early, though Node's do", async () => {
    const { clock, timers } = systemEnv();
    const early: number[] = [];
    for (let i = 0; i < 40; i++) {
      const dueMs = clock.monotonic() + 1.9;
      await new Promise<void>((fired) => timers.after(1.9, fired));
      if (clock.monotonic() < dueMs) early.push(dueMs - clock.monotonic());
    }
    expect(early).toEqual([]);
  });
});
