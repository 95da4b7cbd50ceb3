import { systemEnv } from "@millrace/engine";
import { eventLogContract, gather, sampleEvent, to } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { memoryEventLog } from "./memory-event-log.ts";

eventLogContract("the memory log", async () => {
  const log = memoryEventLog({ env: systemEnv() });
  return { log, reopen: async () => log, destroy: () => log.close(), volatile: true };
});

describe("the memory log", () => {
  it("holds time still when the clock jumps back", async () => {
    const times = [5000, 9000, 2000, 9500];
    const env = systemEnv();
    const log = memoryEventLog({ env: { ...env, clock: { ...env.clock, now: () => times.shift() as number } } });
    for (let i = 0; i < 4; i++) await log.append(to("s", sampleEvent()));
    expect((await gather(log.read())).map((e) => e.timeMs)).toEqual([5000, 9000, 9000, 9500]);
  });
});
