import { expect, it } from "vitest";
import { virtualEnv } from "../testing/virtual-env.ts";
import { LazyProgress } from "./lazy-progress.ts";
import type { StepWork } from "./step-work.ts";

it("tells again and again until a step has taken the progress with it", async () => {
  const env = virtualEnv("lazy");
  let told = 0;
  const lazy = new LazyProgress(env.timers, 250, () => {
    if (++told === 3) lazy.clear();
  });
  // What it is does not matter here.
  lazy.add([{} as StepWork]);
  await env.advance(5000);
  expect([told, lazy.work]).toEqual([3, []]);
});
