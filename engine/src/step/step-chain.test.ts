import { describe, expect, it } from "vitest";
import { wholly } from "../frame/point.ts";
import { within } from "../testing/sample-frames.ts";
import { START_PROGRESS } from "./lane-cursor.ts";
import { leastWatermark, StepChain } from "./step-chain.ts";
import type { StepInput, StepRecord } from "./step-record.ts";

function inputTo(lane: number, pos: number, more: Partial<StepInput> = {}): StepInput {
  return {
    lane,
    from: wholly(-1),
    to: wholly(pos),
    watermark: Number.NEGATIVE_INFINITY,
    exact: true,
    idle: false,
    mark: null,
    revision: 1,
    messages: 1,
    shed: 0,
    ...more,
  };
}

function step(more: Partial<StepRecord> = {}): StepRecord {
  return {
    at: 0,
    since: Number.NEGATIVE_INFINITY,
    inputs: [],
    opened: [],
    recorded: [],
    state: [],
    emitted: [],
    dead: [],
    dropped: [],
    watermark: Number.NEGATIVE_INFINITY,
    out: { watermark: Number.NEGATIVE_INFINITY, idle: false },
    ...more,
  };
}

describe("a chain of steps", () => {
  it("knows of each lane how far it is consumed, in the order of the inputs", () => {
    const chain = new StepChain();
    chain.fold(
      step({
        opened: [
          { lane: 0, name: "a" },
          { lane: 1, name: "b" },
        ],
        inputs: [inputTo(0, 3), inputTo(1, 9)],
      }),
    );
    chain.fold(step({ inputs: [inputTo(0, 5, { watermark: 70 }), inputTo(0, 6, { to: within(6, 1), exact: false })] }));
    expect(chain.lanes.get("a")).toMatchObject({
      cursor: within(6, 1),
      progress: { watermark: 70, anchor: { pos: 5, watermark: 70 } },
    });
    expect(chain.lanes.get("b")?.cursor).toEqual(wholly(9));
    expect(chain.steps).toBe(2);
  });

  it("knows the next sequence number of each port", () => {
    const chain = new StepChain();
    chain.fold(
      step({
        emitted: [
          { port: "out", firstSeq: 0, count: 3, batch: null, late: [] },
          { port: "late", firstSeq: 0, count: 1, batch: null, late: [] },
        ],
      }),
    );
    chain.fold(step({ emitted: [{ port: "out", firstSeq: 3, count: 2, batch: null, late: [] }] }));
    expect([...chain.nextSeq]).toEqual([
      ["out", 5],
      ["late", 1],
    ]);
  });

  it("has a tick that never falls, and the watermarks of its last step", () => {
    const chain = new StepChain();
    chain.fold(step({ at: 100, watermark: 5, out: { watermark: 5, idle: true } }));
    chain.fold(step({ at: 90, watermark: 8, out: { watermark: 7, idle: false } }));
    expect(chain).toMatchObject({ at: 100, watermark: 8, out: { watermark: 7, idle: false } });
  });
});

describe("the watermark of a node (R20)", () => {
  const lane = (watermark: number, idle = false, feedback = false) => ({
    progress: { ...START_PROGRESS, watermark, idle },
    feedback,
  });

  it("is the least of its lanes, idle and feedback ones left out", () => {
    expect(leastWatermark([lane(9), lane(4), lane(1, true), lane(2, false, true)])).toBe(4);
  });

  it("is the furthest of its lanes where all are idle, as it would be had they fallen silent one by one", () => {
    expect(leastWatermark([lane(3, true), lane(7, true), lane(5, true), lane(9, true, true)])).toBe(7);
  });

  it("is unknown where no lane has a say", () => {
    expect(leastWatermark([lane(2, false, true)])).toBeUndefined();
    expect(leastWatermark([])).toBeUndefined();
  });
});
