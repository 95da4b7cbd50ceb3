import { systemEnv } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { machineProbe } from "./machine-probe.ts";

test("shares lie between nothing and all, and a process has a memory", () => {
  const probe = machineProbe(systemEnv());
  for (let i = 0; i < 3; i++) {
    const { cpu, memory, load, loopLagMs, residentBytes, heapBytes } = probe.sample();
    expect(cpu >= 0 && cpu <= 1 && memory > 0 && memory < 1).toBe(true);
    expect(Math.min(load, loopLagMs)).toBeGreaterThanOrEqual(0);
    expect(residentBytes).toBeGreaterThan(heapBytes);
    expect(heapBytes).toBeGreaterThan(1_000_000);
  }
  probe.close();
});

test("a loop that was blocked shows as lag, once", async () => {
  const env = virtualEnv(1);
  let monotonicMs = 0;
  const clock = { now: () => 0, monotonic: () => monotonicMs };
  const probe = machineProbe({ ...env, clock });
  const turns = async (lateMs: number): Promise<void> => {
    monotonicMs += 50 + lateMs;
    await env.advance(50);
  };
  await turns(0);
  await turns(300);
  await turns(2);
  expect([probe.sample().loopLagMs, probe.sample().loopLagMs]).toEqual([300, 0]);
  await turns(7);
  expect(probe.sample().loopLagMs).toBe(7);
  probe.close();
  await turns(99);
  expect(probe.sample().loopLagMs).toBe(0);
});
