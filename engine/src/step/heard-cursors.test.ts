import { describe, expect, it } from "vitest";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { HeardCursors, type HeardLane, LANES_HEARD } from "./heard-cursors.ts";

class Stand {
  readonly env = virtualEnv("heard");
  readonly storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  readonly log = this.storage.open(this.env);

  open(graphRevision = 1): Promise<HeardCursors> {
    const who = { principal: "system", tenant: "", codeVersion: "1", graph: "g", node: "", epoch: 0 };
    const { env, log } = this;
    return env.until(HeardCursors.open({ env, log, stream: "g/~lanes", context: { ...who, graphRevision } }));
  }

  get written(): number {
    return this.storage.events.filter((event) => event.type === LANES_HEARD).length;
  }
}

const lane = (origin: string, path: number, pos: number): HeardLane => {
  return { origin, path, durable: { pos, ord: 7 }, durableAnchor: { pos, watermark: Number.POSITIVE_INFINITY } };
};

describe("what was heard from other hosts", () => {
  it("is there after a start, lane by lane", async () => {
    const stand = new Stand();
    const heard = await stand.open();
    await stand.env.until(heard.note(lane("in#0", 1, 5)));
    await stand.env.until(heard.note(lane("win.out", 1, 9)));
    const again = await stand.open();
    expect(again.lane("in#0", 1)).toEqual(lane("in#0", 1, 5));
    expect(again.lane("win.out", 1)).toEqual(lane("win.out", 1, 9));
    expect(again.lane("in#0", 2)).toBeUndefined();
  });

  it("is durable when the note says so, and not before", async () => {
    const stand = new Stand();
    const heard = await stand.open();
    stand.storage.faults.commitMs = 100;
    let isDurable = false;
    const noted = heard.note(lane("in#0", 1, 5)).then(() => {
      isDurable = true;
    });
    await stand.env.settle();
    expect([isDurable, stand.written]).toEqual([false, 0]);
    await stand.env.until(noted);
    expect(stand.written).toBe(1);
  });

  it("is written together when it comes fast, and the highest wins", async () => {
    const stand = new Stand();
    const heard = await stand.open();
    const notes = Array.from({ length: 100 }, (_, i) => heard.note(lane("in#0", 1, i)));
    notes.push(heard.note(lane("in#0", 1, 50)));
    await stand.env.until(Promise.all(notes));
    expect(stand.written).toBeLessThan(4);
    expect((await stand.open()).lane("in#0", 1)).toEqual(lane("in#0", 1, 99));
  });

  it("is written once the log takes it, if it was full", async () => {
    const stand = new Stand();
    const heard = await stand.open();
    stand.storage.faults.full = true;
    const noted = heard.note(lane("in#0", 1, 5));
    noted.catch(() => undefined);
    await stand.env.advance(5000);
    expect(stand.storage.counts.full).toBeGreaterThan(1);
    stand.storage.faults.full = false;
    await stand.env.until(noted);
    expect((await stand.open()).lane("in#0", 1)).toEqual(lane("in#0", 1, 5));
  });

  it("of another revision means other lanes", async () => {
    const stand = new Stand();
    await stand.env.until((await stand.open()).note(lane("in#0", 1, 5)));
    expect((await stand.open(2)).lane("in#0", 1)).toBeUndefined();
  });
});
