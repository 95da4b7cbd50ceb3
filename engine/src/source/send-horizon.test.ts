import { describe, expect, it } from "vitest";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { HORIZON, SendHorizon } from "./send-horizon.ts";

class Stand {
  readonly env = virtualEnv("horizon");
  readonly storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  readonly log = this.storage.open(this.env);

  open(partition = "0"): Promise<SendHorizon> {
    const context = {
      principal: "system",
      tenant: "",
      codeVersion: "1",
      graph: "g",
      graphRevision: 1,
      node: "src",
      epoch: 0,
    };
    return this.env.until(
      SendHorizon.open({ log: this.log, stream: "g/src", partition, context, random: this.env.random }),
    );
  }

  get written(): number {
    return this.storage.events.filter((event) => event.type === HORIZON).length;
  }
}

describe("a send horizon", () => {
  it("lets nothing be sent before the log holds that it may be", async () => {
    const stand = new Stand();
    const horizon = await stand.open();
    stand.storage.faults.commitMs = 100;
    let mayBeSent = false;
    const covered = horizon.cover(10, 100).then(() => {
      mayBeSent = true;
    });
    await stand.env.settle();
    expect(mayBeSent).toBe(false);
    await stand.env.until(covered);
    expect(stand.written).toBe(1);
  });

  it("is moved ahead of need, so that a source that goes on hardly ever waits", async () => {
    const stand = new Stand();
    const horizon = await stand.open();
    let waits = 0;
    for (let through = 10; through <= 10_000; through += 10) {
      let isCovered = false;
      const covered = horizon.cover(through, 640).then(() => {
        isCovered = true;
      });
      await stand.env.settle();
      if (!isCovered) waits++;
      await stand.env.until(covered);
      await stand.env.advance(5);
    }
    expect(waits).toBe(1);
    expect(stand.written).toBeLessThan(40);
  });

  it("is inherited by the next incarnation, whether the last one ended in order or died", async () => {
    const stand = new Stand();
    const died = await stand.open();
    await stand.env.until(died.cover(10, 100));
    expect((await stand.open()).inherited).toBe(110);
    const ended = await stand.open();
    await stand.env.until(ended.cover(200, 100));
    await stand.env.until(ended.settle(220));
    expect((await stand.open()).inherited).toBe(220);
  });

  it("never falls below what an earlier incarnation may have sent", async () => {
    const stand = new Stand();
    const died = await stand.open();
    await stand.env.until(died.cover(10, 100));
    const next = await stand.open();
    await stand.env.until(next.settle(-1));
    expect((await stand.open()).inherited).toBe(110);
  });

  it("is each partition's own", async () => {
    const stand = new Stand();
    const first = await stand.open("0");
    await stand.env.until(first.cover(10, 0));
    const second = await stand.open("1");
    await stand.env.until(second.cover(3, 0));
    expect([(await stand.open("0")).inherited, (await stand.open("1")).inherited]).toEqual([10, 3]);
    expect((await stand.open("2")).inherited).toBe(-1);
  });

  it("fails only where it is needed, and is tried again then", async () => {
    const stand = new Stand();
    const horizon = await stand.open();
    await stand.env.until(horizon.cover(10, 100));
    stand.storage.faults.full = true;
    await stand.env.until(horizon.cover(100, 100));
    await stand.env.advance(1000);
    await expect(stand.env.until(horizon.cover(120, 100))).rejects.toMatchObject({ code: "LOG-FULL" });
    stand.storage.faults.full = false;
    await stand.env.until(horizon.cover(120, 100));
    expect((await stand.open()).inherited).toBe(220);
  });

  it("keeps the marks of a partition for whoever reads on, from the place of what comes next", async () => {
    const stand = new Stand();
    const horizon = await stand.open();
    const other = await stand.open("1");
    const marks = [0, 10, 10, 25, 40].map((from) => ({ from, place: { key: `object ${from}` } }));
    expect(await stand.env.until(horizon.marksBehind(-1))).toEqual([]);
    await stand.env.until(horizon.mark(marks.slice(0, 3)));
    await stand.env.until(other.mark([{ from: 30, place: "elsewhere" }]));
    await stand.env.until(horizon.mark(marks.slice(3)));
    const later = await stand.open();
    const froms = async (after: number): Promise<number[]> =>
      (await stand.env.until(later.marksBehind(after))).map(({ from }) => from);
    expect(await stand.env.until(later.marksBehind(-1))).toEqual([marks[0], marks[1], marks[3], marks[4]]);
    expect([await froms(8), await froms(9), await froms(24), await froms(99)]).toEqual([
      [0, 10, 25, 40],
      [10, 25, 40],
      [25, 40],
      [40],
    ]);
  });
});
