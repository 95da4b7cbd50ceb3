import { describe, expect, it } from "vitest";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { DEFAULT_RESTART_POLICY, type Restart, type RestartPolicy } from "./restart-policy.ts";
import { type Child, Supervisor } from "./supervisor.ts";

const POLICY: RestartPolicy = { ...DEFAULT_RESTART_POLICY, jitter: 0 };
const ERROR = new Error("broken");

class Family {
  readonly env: VirtualEnv = virtualEnv("family");
  /** Every start and stop, in order. */
  readonly history: string[] = [];
  readonly told: string[] = [];
  readonly supervisor: Supervisor;
  /** What the next start of a child does instead of succeeding. */
  readonly nextStart = new Map<string, () => Promise<void>>();

  constructor(
    policy: Partial<RestartPolicy> = {},
    children: readonly (string | [string, Restart])[] = ["a", "b", "c"],
  ) {
    this.supervisor = new Supervisor(
      this.env,
      { ...POLICY, ...policy },
      {
        restarting: (id, error, delayMs) => this.told.push(`${id} in ${delayMs} after ${error.message}`),
        parked: (ids, error) => this.told.push(`parked ${ids.join()} by ${error.code}`),
      },
    );
    for (const child of children) {
      const [id, restart] = typeof child === "string" ? [child] : child;
      this.supervisor.supervise(this.#child(id, restart));
    }
  }

  states(): string {
    return ["a", "b", "c"].map((id) => this.supervisor.status(id)?.state).join();
  }

  #child(id: string, restart: Restart = "permanent"): Child {
    return {
      id,
      restart,
      start: async () => {
        this.history.push(`+${id}`);
        const start = this.nextStart.get(id);
        this.nextStart.delete(id);
        await start?.();
      },
      stop: async () => {
        this.history.push(`-${id}`);
      },
    };
  }
}

describe("a supervisor's strategy", () => {
  it.each([
    ["one_for_one", "-b +b"],
    ["rest_for_one", "-c -b +b +c"],
    ["one_for_all", "-c -b -a +a +b +c"],
  ] as const)("%s restarts its group: stopped in reverse order, started in order", async (strategy, expected) => {
    const family = new Family({ strategy });
    family.supervisor.failed("b", ERROR);
    await family.env.advance(100);
    expect(family.history.join(" ")).toBe(expected);
    expect(family.states()).toBe("running,running,running");
    expect(family.supervisor.status("b")).toMatchObject({ restarts: 1, lastError: { message: "broken" } });
  });

  it.each(["one_for_one", "rest_for_one", "one_for_all"] as const)(
    "%s never restarts a temporary child",
    async (strategy) => {
      const family = new Family({ strategy }, ["a", ["b", "temporary"], ["c", "temporary"]]);
      family.supervisor.failed("b", ERROR);
      await family.env.advance(60_000);
      family.supervisor.failed("a", ERROR);
      await family.env.advance(60_000);
      expect(family.history).not.toContain("+b");
      expect(family.history).not.toContain("+c");
      expect(family.history).toContain("+a");
      expect(family.states()).toBe(strategy === "one_for_one" ? "running,stopped,running" : "running,stopped,stopped");
    },
  );

  it("restarts a transient child after a failure", async () => {
    const family = new Family({}, [["a", "transient"], "b", "c"]);
    family.supervisor.failed("a", ERROR);
    await family.env.advance(100);
    expect(family.history).toEqual(["-a", "+a"]);
  });

  it("rest_for_one gives one restart where an elder fails while a younger waits for its own", async () => {
    const family = new Family({ strategy: "rest_for_one" });
    family.supervisor.failed("b", ERROR);
    await family.env.advance(50);
    family.supervisor.failed("a", ERROR);
    await family.env.advance(1000);
    expect(family.history.join(" ")).toBe("-c -b -a +a +b +c");
  });

  it("gives up a restart in progress when a member that has started already fails again", async () => {
    const family = new Family({ strategy: "one_for_all" });
    let startB: () => void = () => undefined;
    family.nextStart.set("b", () => new Promise((resolve) => (startB = resolve)));
    family.supervisor.failed("c", ERROR);
    await family.env.advance(100);
    expect(family.states()).toBe("running,restarting,backing-off");
    family.supervisor.failed("a", ERROR);
    startB();
    await family.env.settle();
    expect(family.history.join(" ")).toBe("-c -b -a +a +b");
    await family.env.advance(1000);
    expect(family.history.join(" ")).toBe("-c -b -a +a +b -c -b -a +a +b +c");
    expect(family.states()).toBe("running,running,running");
  });
});

describe("a supervisor's back-off", () => {
  it("waits twice as long after each failure in the period", async () => {
    const family = new Family({ intensity: 10 });
    for (let i = 0; i < 5; i++) {
      family.supervisor.failed("a", ERROR);
      await family.env.advance(2000);
    }
    expect(family.told.map((line) => line.split(" ")[2])).toEqual(["100", "200", "400", "800", "1600"]);
  });

  it("starts from the beginning once the failures lie outside of the period", async () => {
    const family = new Family();
    for (let i = 0; i < 20; i++) {
      family.supervisor.failed("a", ERROR);
      await family.env.advance(POLICY.periodMs + 1);
    }
    expect(new Set(family.told)).toEqual(new Set(["a in 100 after broken"]));
  });

  it("takes a start that fails for a failure like any other", async () => {
    const family = new Family();
    family.nextStart.set("a", () => Promise.reject(new Error("no target")));
    family.supervisor.failed("a", ERROR);
    await family.env.advance(100);
    expect(family.supervisor.status("a")).toMatchObject({ state: "backing-off", lastError: { message: "no target" } });
    await family.env.advance(200);
    expect(family.states()).toBe("running,running,running");
    expect(family.told).toEqual(["a in 100 after broken", "a in 200 after no target"]);
  });

  it("counts a failure that comes while the new incarnation is still starting", async () => {
    const family = new Family();
    family.nextStart.set("a", async () => family.supervisor.failed("a", new Error("early")));
    family.supervisor.failed("a", ERROR);
    await family.env.advance(1000);
    expect(family.told).toEqual(["a in 100 after broken", "a in 200 after early"]);
    expect(family.supervisor.status("a")).toMatchObject({ state: "running", restarts: 2 });
  });

  it("ignores further failures of a child that is down", async () => {
    const family = new Family();
    for (let i = 0; i < 50; i++) family.supervisor.failed("a", ERROR);
    await family.env.advance(1000);
    expect(family.told).toHaveLength(1);
  });
});

describe("a supervisor's intensity", () => {
  async function failedOften(family: Family, id: string, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      family.supervisor.failed(id, ERROR);
      await family.env.advance(3200);
    }
  }

  it("parks a child that fails once more than allowed, and leaves its siblings alone", async () => {
    const family = new Family();
    await failedOften(family, "a", POLICY.intensity);
    expect(family.states()).toBe("running,running,running");
    family.supervisor.failed("a", ERROR);
    await family.env.advance(100_000);
    expect(family.states()).toBe("parked,running,running");
    expect(family.told.at(-1)).toBe("parked a by NODE-PARKED");
    expect(family.history.at(-1)).toBe("-a");
    expect(family.history.filter((entry) => entry.endsWith("b"))).toEqual([]);
  });

  it("parks the whole group of the strategy", async () => {
    const family = new Family({ strategy: "rest_for_one", intensity: 0 });
    family.supervisor.failed("b", ERROR);
    await family.env.advance(1000);
    expect(family.states()).toBe("running,parked,parked");
    expect(family.told).toEqual(["parked b,c by NODE-PARKED"]);
  });

  it("starts parked children again with a clean record when it is resumed", async () => {
    const family = new Family({ intensity: 1 });
    await failedOften(family, "a", 2);
    expect(family.supervisor.status("a")?.state).toBe("parked");
    await family.supervisor.resume();
    expect(family.states()).toBe("running,running,running");
    family.supervisor.failed("a", ERROR);
    expect(family.supervisor.status("a")?.state).toBe("backing-off");
    expect(family.told.at(-1)).toBe("a in 100 after broken");
  });

  it("lets nothing run on that was parked while it started", async () => {
    const family = new Family({ strategy: "one_for_all", intensity: 1 });
    let startB: () => void = () => undefined;
    family.nextStart.set("b", () => new Promise((resolve) => (startB = resolve)));
    family.supervisor.failed("a", ERROR);
    await family.env.advance(100);
    family.supervisor.failed("a", ERROR);
    family.history.length = 0;
    startB();
    await family.env.advance(1000);
    expect(family.states()).toBe("parked,parked,parked");
    expect(family.history).toEqual(["-b"]);
  });
});

describe("a supervisor that stops", () => {
  it("stops its children in reverse order and restarts none of them", async () => {
    const family = new Family();
    family.supervisor.failed("a", ERROR);
    await family.supervisor.stop();
    family.supervisor.failed("b", ERROR);
    await family.env.advance(10_000);
    expect(family.history).toEqual(["-c", "-b", "-a"]);
    expect(family.states()).toBe("stopped,stopped,stopped");
  });

  it("stops a child that was just starting", async () => {
    const family = new Family();
    let startA: () => void = () => undefined;
    family.nextStart.set("a", () => new Promise((resolve) => (startA = resolve)));
    family.supervisor.failed("a", ERROR);
    await family.env.advance(100);
    await family.supervisor.stop();
    family.history.length = 0;
    startA();
    await family.env.settle();
    expect(family.history).toEqual(["-a"]);
    expect(family.states()).toBe("stopped,stopped,stopped");
  });
});
