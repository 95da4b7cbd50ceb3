import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MillraceError } from "../errors.ts";
import type { EventLog } from "../log/event-log.ts";
import { sampleEvent, to } from "../testing/sample-events.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { ALL_RULES } from "./protocol-rules.ts";
import { StepFlights } from "./step-flight.ts";

const STREAM = "graph/node";

class Flying {
  readonly env: VirtualEnv;
  readonly storage: SimulatedLog;
  readonly log: EventLog;
  readonly flights: StepFlights;
  readonly launched: Uint8Array[] = [];
  readonly landed: number[] = [];
  readonly positions: number[] = [];
  readonly lost: unknown[] = [];
  /** Codes of what the log could not take, `null` when it could again. */
  readonly waited: (string | null)[] = [];

  constructor(seed: string | number) {
    this.env = virtualEnv(seed);
    this.storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
    this.log = this.storage.open(this.env);
    this.flights = new StepFlights({
      log: this.log,
      stream: STREAM,
      env: this.env,
      rules: ALL_RULES,
      lost: (error) => this.lost.push(error),
      waiting: (error) => this.waited.push(error instanceof MillraceError ? error.code : null),
    });
  }

  launch(count = 1): void {
    for (let i = 0; i < count; i++) {
      const event = sampleEvent();
      const n = this.launched.push(event.id) - 1;
      this.flights.launch({
        event,
        expected: n - 1,
        landed: (position) => {
          this.landed.push(n);
          this.positions.push(position);
        },
      });
    }
  }

  /** The stream holds each launched step once, in order, and each was told so once, in order. */
  expectAllLanded(): void {
    const inLog = this.storage.events.filter((e) => e.stream === STREAM).map((e) => Buffer.from(e.id).toString("hex"));
    expect(inLog).toEqual(this.launched.map((id) => Buffer.from(id).toString("hex")));
    expect(this.landed).toEqual(this.launched.map((_, n) => n));
    expect(this.positions).toEqual([...this.positions].sort((a, b) => a - b));
    expect(this.lost).toEqual([]);
    expect(this.flights.count).toBe(0);
  }
}

describe("steps in flight", () => {
  it("land in order, each once, with its position", async () => {
    const flying = new Flying("order");
    flying.storage.faults.wayMs = 5;
    flying.launch(20);
    expect(flying.flights.count).toBe(20);
    await flying.env.idle();
    flying.expectAllLanded();
    expect(flying.positions).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(flying.waited).toEqual([]);
  });

  it("wait for a full log and land with the same ids once there is space", async () => {
    const flying = new Flying("full");
    flying.launch(2);
    await flying.env.idle();
    flying.storage.faults.full = true;
    flying.launch(3);
    await flying.env.advance(5000);
    expect(flying.landed).toEqual([0, 1]);
    expect(flying.waited.every((code) => code === "LOG-FULL")).toBe(true);
    expect(flying.waited.length).toBeGreaterThan(0);
    flying.storage.faults.full = false;
    await flying.env.idle();
    flying.expectAllLanded();
  });

  it("tell when the log takes them again", async () => {
    const flying = new Flying("again");
    flying.storage.faults.full = true;
    flying.launch(2);
    await flying.env.advance(100);
    expect(flying.flights.isStalled).toBe(true);
    expect(flying.waited.at(-1)).toBe("LOG-FULL");
    flying.storage.faults.full = false;
    await flying.env.idle();
    expect(flying.flights.isStalled).toBe(false);
    expect(flying.waited.at(-1)).toBeNull();
  });

  it("are in the log once each, however many answers and requests are lost (R17)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), fc.integer({ min: 1, max: 12 }), async (seed, count) => {
        const flying = new Flying(seed);
        Object.assign(flying.storage.faults, { lost: 0.3, wayMs: 8 });
        for (let i = 0; i < count; i++) {
          if (!flying.flights.isStalled) flying.launch();
          await flying.env.advance(flying.env.random.below(30));
        }
        flying.storage.faults.lost = 0;
        await flying.env.idle();
        flying.expectAllLanded();
      }),
      { numRuns: 60 },
    );
  });

  it("end when another owner writes the stream, and none lands after that (R26)", async () => {
    const flying = new Flying("fence");
    flying.launch(2);
    await flying.env.idle();
    await flying.env.until(flying.storage.open(flying.env).append(to(STREAM, sampleEvent())));
    flying.launch(3);
    await flying.env.idle();
    expect(flying.landed).toEqual([0, 1]);
    expect(flying.lost).toEqual([expect.objectContaining({ code: "LOG-WRONG-REVISION" })]);
  });

  it("end when the log is closed", async () => {
    const flying = new Flying("closed");
    flying.launch(1);
    flying.storage.failSync();
    await flying.env.idle();
    expect(flying.lost).toEqual([expect.objectContaining({ code: "LOG-CLOSED" })]);
    expect(flying.flights.count).toBe(0);
  });

  it("tell nobody of what lands after they were stopped", async () => {
    const flying = new Flying("stopped");
    flying.launch(3);
    flying.flights.stop();
    await flying.env.idle();
    expect(flying.landed).toEqual([]);
    expect(flying.storage.events).toHaveLength(3);
  });
});
