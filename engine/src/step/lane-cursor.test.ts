import { describe, expect, it } from "vitest";
import type { Anchor } from "../frame/anchor.ts";
import { RowBatch } from "../frame/batch.ts";
import { Frame, type FrameHead } from "../frame/frame.ts";
import { type Point, START, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { emptyFrame, sampleFrame, sampleHead, within } from "../testing/sample-frames.ts";
import { type Admission, LaneCursor, progressAfter, START_PROGRESS } from "./lane-cursor.ts";

class Origin {
  readonly resumed: { readonly cursor: Point; readonly anchor: Anchor }[] = [];
  readonly acknowledged: Point[] = [];

  acknowledge(_path: number, cursor: Point): void {
    this.acknowledged.push(cursor);
  }

  resume(_path: number, cursor: Point, anchor: Anchor): void {
    this.resumed.push({ cursor, anchor });
  }
}

function laneAt(cursor: Point): { lane: LaneCursor; origin: Origin } {
  const origin = new Origin();
  const lane = new LaneCursor({ name: "a#0>b", path: 0, input: 0, feedback: false, origin });
  lane.recover(cursor, START_PROGRESS);
  return { lane, origin };
}

function taken(admission: Admission): Frame {
  if (admission.verdict !== "take") throw new Error(`the frame was ${admission.verdict}`);
  return admission.frame;
}

function take(lane: LaneCursor, frame: Frame): Frame {
  const admitted = taken(lane.admit(frame));
  lane.admitted(admitted.head);
  lane.apply(admitted.head);
  return admitted;
}

describe("a lane's cursor", () => {
  it("stands before the first message of a lane that the stream does not know (R9)", () => {
    const lane = new LaneCursor({ name: "a#0>b", path: 0, input: 0, feedback: false, origin: new Origin() });
    expect(lane.cursor).toEqual(START);
    expect(lane.admit(sampleFrame(4, ["x"])).verdict).toBe("gap");
  });

  it("says at a start how far it is, which the one before it may have left unsaid, and asks for what follows", () => {
    const { lane, origin } = laneAt(wholly(3));
    lane.askFromCursor();
    expect([origin.acknowledged, origin.resumed.map(({ cursor }) => cursor)]).toEqual([[wholly(3)], [wholly(3)]]);
    const fresh = laneAt(START);
    fresh.lane.askFromCursor();
    expect(fresh.origin.acknowledged).toEqual([]);
  });

  it("refuses a frame that comes after a gap and does not move (R7)", () => {
    const { lane } = laneAt(wholly(3));
    expect(lane.admit(sampleFrame(5, ["x"])).verdict).toBe("gap");
    expect(lane.cursor).toEqual(wholly(3));
    expect(lane.admit(sampleFrame(4, ["x"])).verdict).toBe("take");
  });

  it("sees a gap in front of an empty frame too, so that a probe reveals a lost tail (R10)", () => {
    expect(laneAt(wholly(3)).lane.admit(emptyFrame(5, 5)).verdict).toBe("gap");
  });

  it("takes of a frame that overlaps it only the messages above it (R8)", () => {
    const { lane } = laneAt(wholly(3));
    const frame = take(lane, sampleFrame(2, ["two", "three", "four"]));
    expect(frame.batch.rows()).toEqual(["four"]);
    expect(frame.head).toMatchObject({ from: wholly(3), to: wholly(4) });
    expect(lane.cursor).toEqual(wholly(4));
  });

  it("takes the rest of an expansion that was cut, message by message (R4, R8)", () => {
    const { lane } = laneAt(within(4, 0));
    const batch = new RowBatch(["4.0", "4.1", "5.0"]);
    const positions = Positions.of(Float64Array.of(4, 4, 5), Uint32Array.of(0, 1, 0));
    const frame = new Frame(sampleHead({ from: wholly(3), to: wholly(5) }), batch, positions);
    expect(taken(lane.admit(frame)).batch.rows()).toEqual(["4.1", "5.0"]);
  });

  it("drops what it has, whether it ends before or at the cursor (R8)", () => {
    const { lane } = laneAt(wholly(3));
    expect(lane.admit(sampleFrame(2, ["x"])).verdict).toBe("old");
    expect(lane.admit(sampleFrame(2, ["x", "y"])).verdict).toBe("old");
    expect(lane.admit(emptyFrame(3, 3)).verdict).toBe("old");
  });

  it("takes an empty range that a filter left", () => {
    const { lane } = laneAt(wholly(3));
    expect(take(lane, emptyFrame(3, 90)).n).toBe(0);
    expect(lane.cursor).toEqual(wholly(90));
  });

  it("drops frames of an older owner, once it has seen a newer one (R26)", () => {
    const { lane } = laneAt(START);
    take(lane, sampleFrame(0, ["new"], { epoch: 7 }));
    expect(lane.admit(sampleFrame(1, ["stale"], { epoch: 6 })).verdict).toBe("old");
    expect(lane.admit(sampleFrame(1, ["next"], { epoch: 8 })).verdict).toBe("take");
  });
});

describe("a mark (R15)", () => {
  const marked = (at: number, n: number, epoch = 1, more: Partial<FrameHead> = {}): Frame =>
    emptyFrame(at, at, { mark: { epoch, n }, idle: true, watermark: 70, epoch, ...more });

  it("is taken only where the lane stands", () => {
    expect(laneAt(wholly(3)).lane.admit(marked(3, 1)).verdict).toBe("take");
    expect(laneAt(wholly(3)).lane.admit(marked(4, 1)).verdict).toBe("gap");
    expect(laneAt(wholly(4)).lane.admit(marked(3, 1)).verdict).toBe("old");
  });

  it("is taken only if it is newer than the one before, of an older incarnation too", () => {
    const { lane } = laneAt(wholly(3));
    take(lane, marked(3, 2, 5));
    expect(lane.admit(marked(3, 2, 5)).verdict).toBe("old");
    expect(lane.admit(marked(3, 1, 5)).verdict).toBe("old");
    expect(lane.admit(marked(3, 3, 5)).verdict).toBe("take");
    expect(lane.admit(marked(3, 1, 6)).verdict).toBe("take");
  });

  it("is not taken again after a recovery that knows it", () => {
    const { lane } = laneAt(wholly(3));
    lane.recover(wholly(3), { ...START_PROGRESS, mark: { epoch: 1, n: 5 }, idle: true });
    expect(lane.admit(marked(3, 5)).verdict).toBe("old");
    expect(lane.admit(marked(3, 6)).verdict).toBe("take");
  });

  it("counts where its frame was joined with a range that the lane has", () => {
    const { lane } = laneAt(wholly(9));
    const joined = emptyFrame(3, 9, { mark: { epoch: 1, n: 1 }, idle: true });
    expect(taken(lane.admit(joined)).head).toMatchObject({ from: wholly(9), to: wholly(9) });
  });

  it("makes a lane idle until data comes", () => {
    const { lane } = laneAt(wholly(3));
    take(lane, marked(3, 1));
    expect(lane.progress).toMatchObject({ idle: true, watermark: 70, mark: { epoch: 1, n: 1 } });
    take(lane, sampleFrame(4, ["x"], { watermark: 70, epoch: 1 }));
    expect(lane.progress).toMatchObject({ idle: false, mark: { epoch: 1, n: 1 } });
  });
});

describe("what a lane asks for", () => {
  it("is what follows its cursor, once per transmission, and for every probe", () => {
    const { lane, origin } = laneAt(wholly(3));
    lane.ask(sampleFrame(7, ["x"], { generation: 1 }));
    lane.ask(sampleFrame(8, ["x"], { generation: 1 }));
    expect(origin.resumed).toEqual([{ cursor: wholly(3), anchor: START_PROGRESS.anchor }]);
    lane.ask(emptyFrame(9, 9, { generation: 1 }));
    lane.ask(sampleFrame(7, ["x"], { generation: 2 }));
    expect(origin.resumed).toHaveLength(3);
  });

  it("is asked again of a new owner, whose generations begin anew", () => {
    const { lane, origin } = laneAt(wholly(3));
    for (const epoch of [1, 2]) {
      const frame = sampleFrame(7, ["x"], { generation: 0, epoch });
      expect(lane.admit(frame).verdict).toBe("gap");
      lane.ask(frame);
    }
    expect(origin.resumed).toHaveLength(2);
  });
});

describe("a lane's progress", () => {
  it("never lets the watermark fall", () => {
    const after = progressAfter({ ...START_PROGRESS, watermark: 50 }, sampleHead({ watermark: 40 }));
    expect(after).toMatchObject({ watermark: 50, anchor: { pos: 0, watermark: 50 } });
  });

  it("moves watermark and anchor only at a frame's own end (R19)", () => {
    const first = progressAfter(START_PROGRESS, sampleHead({ to: wholly(4), watermark: 10 }));
    const cut = progressAfter(first, sampleHead({ to: within(6, 1), watermark: 99, exact: false }));
    expect(cut).toMatchObject({ watermark: 10, anchor: { pos: 4, watermark: 10 } });
  });

  it("is acknowledged to the origin once it is durable", () => {
    const { lane, origin } = laneAt(START);
    lane.settle(wholly(8), { pos: 8, watermark: 1 });
    expect(lane.durable).toEqual(wholly(8));
    expect(lane.durableAnchor).toEqual({ pos: 8, watermark: 1 });
    expect(origin.acknowledged).toEqual([wholly(8)]);
  });
});
