import { type MillraceError, reportOf } from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { expect, it } from "vitest";
import { WorkerWatch } from "./worker-watch.ts";

const MIB = 1024 * 1024;
const LIMITS = { memoryMib: 64, residentMibMax: 128, cpuMs: 500 };

class Watching {
  readonly env = virtualEnv("watch");
  activity: "idle" | "calculating" | "other" = "idle";
  residentBytes = MIB;
  cpuMs = 0;
  readonly pings: number[] = [];
  readonly condemned: string[] = [];
  readonly watch = new WorkerWatch(this.env, LIMITS, {
    usage: () => ({ residentBytes: this.residentBytes, residentBytesMax: this.residentBytes, cpuMs: this.cpuMs }),
    activity: () => this.activity,
    ping: (n) => this.pings.push(n),
    condemn: (why: MillraceError) => this.condemned.push(reportOf(why).code),
  });
}

it("asks a process that has nothing to do for its pulse, and condemns one without", async () => {
  const watching = new Watching();
  for (let seconds = 0; seconds < 5; seconds++) {
    await watching.env.advance(1000);
    watching.watch.pong();
  }
  expect([watching.pings, watching.condemned]).toEqual([[1, 2, 3, 4, 5], []]);
  await watching.env.advance(3000);
  expect([watching.pings.length, watching.condemned]).toEqual([8, []]);
  await watching.env.advance(1000);
  expect(watching.condemned).toEqual(["CALC-EXIT"]);
});

it("does not ask one that calculates, and condemns it for its processor time between two answers", async () => {
  const watching = new Watching();
  watching.activity = "calculating";
  for (let answers = 0; answers < 8; answers++) {
    watching.watch.active();
    await watching.env.advance(500);
    watching.cpuMs += 400;
  }
  expect([watching.pings, watching.condemned]).toEqual([[], []]);
  watching.cpuMs += 200;
  await watching.env.advance(250);
  expect(watching.condemned).toEqual(["CALC-CPU"]);
});

it("condemns one that has too much memory, whatever it does, and nobody once it has stopped", async () => {
  const watching = new Watching();
  watching.residentBytes = 129 * MIB;
  await watching.env.advance(250);
  expect(watching.condemned).toEqual(["CALC-OOM"]);
  watching.watch.stop();
  await watching.env.advance(5000);
  expect([watching.pings, watching.condemned.length]).toEqual([[], 1]);
});
