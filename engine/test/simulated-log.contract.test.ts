import { describe, expect, it } from "vitest";
import { eventLogContract, SimulatedLog, sampleEvent, to, virtualEnv } from "../src/testing/mod.ts";

eventLogContract("the simulated log", async () => {
  const env = virtualEnv("log contract");
  const storage = new SimulatedLog({ env, random: env.random.fork("log") });
  let open = true;
  // The suite waits for promises, not for virtual time, so time is kept moving.
  const pump = (async () => {
    while (open) await env.advance(1);
  })();
  let log = storage.open(env);
  const destroy = async (): Promise<void> => {
    await log.close();
    open = false;
    await pump;
  };
  const reopen = async () => {
    await log.close();
    log = storage.open(env);
    return log;
  };
  return { log, reopen, destroy };
});

describe("the simulated log", () => {
  it("loses what was not durable when it crashes, and never answers for it", async () => {
    const env = virtualEnv(1);
    const storage = new SimulatedLog({ env, random: env.random.fork("log") });
    const log = storage.open(env);
    await env.until(log.append(to("s", sampleEvent())));
    let answered = false;
    log.append(to("s", sampleEvent())).then(
      () => {
        answered = true;
      },
      () => undefined,
    );
    storage.crash();
    await env.advance(1000);
    expect(answered).toBe(false);
    expect(storage.events.length).toBeLessThanOrEqual(2);
    expect(() => log.read()).toThrow("closed");
  });

  it("applies an append that its dead sender left on the way", async () => {
    const env = virtualEnv(7);
    const storage = new SimulatedLog({ env, random: env.random.fork("log") });
    storage.faults.wayMs = 100;
    const host = env.process("host");
    void storage.open(host.env).append(to("s", sampleEvent()));
    host.kill();
    await env.advance(1000);
    expect(storage.events).toHaveLength(1);
    expect(storage.acknowledged).toHaveLength(0);
  });
});
