import { describe, expect, it } from "vitest";
import { sleep } from "../time/clock.ts";
import { SeededRandom } from "./seeded-random.ts";
import { virtualEnv } from "./virtual-env.ts";

describe("virtualEnv", () => {
  it("fires timers by due time, then by the order of scheduling", async () => {
    const env = virtualEnv(1);
    const fired: string[] = [];
    env.timers.after(20, () => fired.push(`c@${env.clock.monotonic()}`));
    env.timers.after(10, () => fired.push(`a@${env.clock.monotonic()}`));
    env.timers.after(10, () => fired.push(`b@${env.clock.monotonic()}`));
    env.timers.after(15, () => fired.push("cancelled")).cancel();
    await env.run(15);
    expect(fired).toEqual(["a@10", "b@10"]);
    expect(env.clock.monotonic()).toBe(15);
    await env.idle();
    expect(fired).toEqual(["a@10", "b@10", "c@20"]);
  });

  it("runs every promise reaction of one event before the next event", async () => {
    const env = virtualEnv(1);
    const order: string[] = [];
    env.timers.after(1, () => {
      order.push("first");
      void (async () => {
        for (let i = 0; i < 100; i++) await undefined;
        order.push("reaction");
      })();
    });
    env.timers.after(1, () => order.push("second"));
    await env.idle();
    expect(order).toEqual(["first", "reaction", "second"]);
  });

  it("lets pending work go before a turn that yields, and moves the clock for it", async () => {
    const env = virtualEnv(1);
    const order: string[] = [];
    env.turns.yieldToIo(() => order.push("yielded"));
    env.turns.soon(() => order.push("soon"));
    await env.idle();
    expect(order).toEqual(["soon", "yielded"]);
    let spins = 0;
    const spin = (): void => {
      spins++;
      env.turns.yieldToIo(spin);
    };
    spin();
    await env.advance(0.1);
    expect(spins).toBeGreaterThan(50);
  });

  it("stops every timer and turn of a killed process and no others", async () => {
    const env = virtualEnv(1);
    const fired: string[] = [];
    const one = env.process("one");
    const two = env.process("two");
    one.env.timers.after(5, () => fired.push("one"));
    two.env.timers.after(5, () => fired.push("two"));
    one.env.turns.yieldToIo(() => fired.push("turn"));
    one.kill();
    await env.idle();
    expect(fired).toEqual(["two"]);
    expect(one.alive).toBe(false);
  });

  it("waits for a promise in virtual time and says when it can never settle", async () => {
    const env = virtualEnv("s");
    expect(await env.until(sleep(env, 60_000).then(() => env.clock.monotonic()))).toBe(60_000);
    await expect(env.until(new Promise(() => undefined))).rejects.toThrow(/nothing is left to run.*seed s/);
    await expect(env.until(sleep(env, 50).then(() => Promise.reject(new Error("no"))))).rejects.toThrow("no");
  });

  it("moves the wall clock without the monotonic one", async () => {
    const env = virtualEnv(1, { startMs: 1000 });
    await env.advance(10);
    env.jumpClock(-500);
    expect([env.clock.now(), env.clock.monotonic()]).toEqual([510, 10]);
  });

  it("lets an exception of an event reach whoever runs the clock", async () => {
    const env = virtualEnv(1);
    env.timers.after(1, () => {
      throw new Error("boom");
    });
    await expect(env.idle()).rejects.toThrow("boom");
  });
});

describe("SeededRandom", () => {
  it("repeats itself for a seed and differs between seeds and names", () => {
    const draw = (random: SeededRandom): number[] => Array.from({ length: 8 }, () => random.u32());
    expect(draw(new SeededRandom(7))).toEqual(draw(new SeededRandom("7")));
    expect(draw(new SeededRandom(7))).not.toEqual(draw(new SeededRandom(8)));
    const parent = new SeededRandom(7);
    const before = draw(parent.fork("disk"));
    parent.u32();
    expect(draw(parent.fork("disk"))).toEqual(before);
    expect(draw(parent.fork("net"))).not.toEqual(before);
  });

  it("draws within its bounds and reaches both ends", () => {
    const random = new SeededRandom("bounds");
    const seen = new Set(Array.from({ length: 500 }, () => random.between(3, 6)));
    expect([...seen].sort()).toEqual([3, 4, 5, 6]);
    const ones = Array.from({ length: 2000 }, () => random.chance(0.25)).filter(Boolean).length;
    expect(ones).toBeGreaterThan(400);
    expect(ones).toBeLessThan(600);
    expect(random.shuffled([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
    expect(random.bytes(13)).toHaveLength(13);
  });
});
