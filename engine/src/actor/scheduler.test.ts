import { describe, expect, it } from "vitest";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import type { Env } from "../time/clock.ts";
import { Scheduler, Turnable } from "./scheduler.ts";

/** An environment whose clock moves only by what turns say they cost, and that notes which way bursts were asked for. */
function countingEnv(): { env: Env; machine: VirtualEnv; asked: string[]; spend: (ms: number) => void } {
  const machine = virtualEnv("scheduler");
  const asked: string[] = [];
  let spentMs = 0;
  const env: Env = {
    ...machine,
    timers: machine.timers,
    random: machine.random,
    clock: { now: () => 0, monotonic: () => spentMs },
    turns: {
      soon: (run) => {
        asked.push("soon");
        machine.turns.soon(run);
      },
      yieldToIo: (run) => {
        asked.push("io");
        machine.turns.yieldToIo(run);
      },
    },
  };
  return { env, machine, asked, spend: (ms) => (spentMs += ms) };
}

class Worker extends Turnable {
  readonly #work: (nowMs: number) => number;

  constructor(work: (nowMs: number) => number) {
    super();
    this.#work = work;
  }

  turn(nowMs: number): number {
    return this.#work(nowMs);
  }
}

function noting(note: () => void): Worker {
  return new Worker((now) => {
    note();
    return now;
  });
}

describe("a scheduler", () => {
  it("gives turns in the order in which they were asked for, each actor one however often it asked", async () => {
    const { env, machine } = countingEnv();
    const scheduler = new Scheduler(env);
    const turns: string[] = [];
    const workers = ["a", "b", "c"].map((name) => noting(() => turns.push(name)));
    for (const worker of [...workers, ...workers]) scheduler.ready(worker);
    expect(turns).toEqual([]);
    await machine.settle();
    expect(turns).toEqual(["a", "b", "c"]);
  });

  it("puts an actor that asks during its own turn behind the others", async () => {
    const { env, machine } = countingEnv();
    const scheduler = new Scheduler(env);
    const turns: string[] = [];
    const greedy = new Worker((now) => {
      turns.push("greedy");
      if (turns.length < 6) scheduler.ready(greedy);
      return now;
    });
    const modest: Worker = new Worker((now) => {
      turns.push("modest");
      if (turns.length < 6) scheduler.ready(modest);
      return now;
    });
    scheduler.ready(greedy);
    scheduler.ready(modest);
    await machine.settle();
    expect(turns.slice(0, 6)).toEqual(["greedy", "modest", "greedy", "modest", "greedy", "modest"]);
  });

  it("lets I/O have its chance when the time budget of a burst is spent", async () => {
    const { env, machine, asked, spend } = countingEnv();
    const scheduler = new Scheduler(env, { budgetMs: 10 });
    let turns = 0;
    const busy = new Worker((now) => {
      spend(4);
      if (++turns < 9) scheduler.ready(busy);
      return now + 4;
    });
    scheduler.ready(busy);
    await machine.settle();
    expect(turns).toBe(3);
    expect(asked).toEqual(["soon", "io"]);
    await machine.idle();
    expect(turns).toBe(9);
  });

  it("does not yield for an actor that was the last of its burst", async () => {
    const { env, machine, asked, spend } = countingEnv();
    const scheduler = new Scheduler(env, { budgetMs: 1 });
    const slow = new Worker((now) => {
      spend(50);
      return now + 50;
    });
    scheduler.ready(slow);
    await machine.settle();
    expect(asked).toEqual(["soon"]);
  });

  it("lets I/O have its chance after many short bursts too", async () => {
    const { env, machine, asked } = countingEnv();
    const scheduler = new Scheduler(env, { burstsMax: 8 });
    const worker = new Worker((now) => now);
    for (let burst = 0; burst < 20; burst++) {
      scheduler.ready(worker);
      await machine.advance(1);
    }
    expect(asked.filter((way) => way === "io").length).toBeGreaterThanOrEqual(2);
  });

  it("loses no wake-up between bursts", async () => {
    const { env, machine } = countingEnv();
    const scheduler = new Scheduler(env);
    let turns = 0;
    const worker = noting(() => turns++);
    for (let i = 0; i < 300; i++) {
      scheduler.ready(worker);
      await machine.idle();
      expect(turns).toBe(i + 1);
    }
  });
});
