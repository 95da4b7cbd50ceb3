import { describe, expect, it } from "vitest";
import type { OriginControl } from "../actor/link.ts";
import type { Frame, FrameHead } from "../frame/frame.ts";
import { wholly } from "../frame/point.ts";
import { emptyFrame, sampleFrame } from "../testing/sample-frames.ts";
import { Alignment } from "./alignment.ts";
import { LaneCursor, START_PROGRESS } from "./lane-cursor.ts";

const MAX_DRIFT_MS = 100;

function origin(): OriginControl {
  return { acknowledge: () => undefined, resume: () => undefined };
}

/** One lane of `of`; its positions 0, 1, … are one message each. */
function laneOf(of: OriginControl, path: number, feedback = false): LaneCursor {
  return new LaneCursor({ name: `lane ${path}`, path, input: 0, feedback, origin: of });
}

/** Lanes 0, 1, … of origins of their own. */
function separate(count: number): LaneCursor[] {
  return Array.from({ length: count }, (_, path) => laneOf(origin(), path));
}

/** A node that takes what it may. */
class Node {
  readonly alignment: Alignment;
  readonly #lanes: readonly LaneCursor[];

  constructor(lanes: readonly LaneCursor[]) {
    this.#lanes = lanes;
    this.alignment = new Alignment(lanes, { maxDriftMs: MAX_DRIFT_MS });
  }

  /** The next message of a lane, up to a watermark; whether it was taken. */
  offer(path: number, watermark: number, head: Partial<FrameHead> = {}): boolean {
    return this.#offer(sampleFrame(this.#lane(path).cursor.pos + 1, ["m"], { path, watermark, ...head }));
  }

  /** A range without messages. */
  pass(path: number, watermark: number, head: Partial<FrameHead> = {}): boolean {
    const after = this.#lane(path).cursor.pos;
    return this.#offer(emptyFrame(after, after + 1, { path, watermark, ...head }));
  }

  #offer(frame: Frame): boolean {
    if (!this.alignment.mayTake(frame)) return false;
    this.#lane(frame.head.path).admitted(frame.head);
    this.alignment.admitted(frame.head);
    return true;
  }

  #lane(path: number): LaneCursor {
    return this.#lanes.find((lane) => lane.path === path) as LaneCursor;
  }
}

describe("an origin that runs ahead in event time", () => {
  it("waits at the drift that the node allows, until the slowest comes nearer", () => {
    const node = new Node(separate(2));
    expect(node.offer(0, 0)).toBe(true);
    expect(node.offer(1, 0)).toBe(true);
    expect(node.offer(0, 100)).toBe(true);
    expect(node.offer(0, 101)).toBe(false);
    expect(node.offer(1, 1)).toBe(true);
    expect(node.offer(0, 101)).toBe(true);
  });

  it("waits for one that has not said where it is", () => {
    const node = new Node(separate(2));
    expect(node.offer(0, 0)).toBe(true);
    expect(node.offer(0, 1)).toBe(false);
    expect(node.alignment.slowestPath).toBe(1);
  });

  it("is the slowest of those that wait: that one always passes, however far its frame reaches", () => {
    const node = new Node(separate(3));
    for (const path of [0, 1, 2]) node.offer(path, path);
    expect(node.offer(0, 5000)).toBe(true);
    expect(node.offer(0, 5001)).toBe(false);
    expect(node.offer(1, 5000)).toBe(true);
  });

  it.each([
    ["is idle", { idle: true }, 0],
    ["has ended", {}, Number.POSITIVE_INFINITY],
  ] as const)("waits for none that %s", (_, head, watermark) => {
    const node = new Node(separate(2));
    node.offer(0, 0);
    node.offer(1, 0);
    expect(node.offer(0, 5000)).toBe(true);
    expect(node.offer(0, 5001)).toBe(false);
    expect(node.pass(1, watermark, head)).toBe(true);
    expect(node.offer(0, 5001)).toBe(true);
    expect(node.alignment.slowestPath).toBe(0);
  });

  it("waits again for one that is back", () => {
    const node = new Node(separate(2));
    node.offer(0, 0);
    node.pass(1, 0, { idle: true });
    expect(node.offer(0, 5000)).toBe(true);
    expect(node.offer(1, 10)).toBe(true);
    expect(node.offer(0, 5001)).toBe(false);
  });

  it("brings its last messages once the others have come as far as it was before", () => {
    const node = new Node(separate(2));
    node.offer(0, 200);
    expect(node.offer(0, Number.POSITIVE_INFINITY)).toBe(false);
    expect(node.offer(1, 100)).toBe(true);
    expect(node.offer(0, Number.POSITIVE_INFINITY)).toBe(true);
  });

  it("still passes what has no messages, what comes again and what comes after a gap", () => {
    const lanes = separate(2);
    const node = new Node(lanes);
    node.offer(0, 0);
    node.offer(1, 0);
    node.offer(0, 100);
    const ahead = { path: 0, watermark: 5000 };
    expect(node.alignment.mayTake(sampleFrame(2, ["m"], ahead))).toBe(false);
    expect(node.alignment.mayTake(emptyFrame(1, 2, ahead))).toBe(true);
    expect(node.alignment.mayTake(sampleFrame(1, ["m"], ahead))).toBe(true);
    expect(node.alignment.mayTake(sampleFrame(3, ["m"], ahead))).toBe(true);
  });

  it("waits no more once it is told where to stop (R22)", () => {
    const node = new Node(separate(2));
    node.offer(0, 0);
    expect(node.offer(0, 5000)).toBe(false);
    node.alignment.release();
    expect(node.offer(0, 5000)).toBe(true);
  });

  it("waits after a restart as its node's stream says", () => {
    const lanes = separate(2);
    lanes[0]?.recover(wholly(5), { ...START_PROGRESS, watermark: 500 });
    lanes[1]?.recover(wholly(5), { ...START_PROGRESS, watermark: 400 });
    const node = new Node(lanes);
    expect(node.offer(0, 501)).toBe(false);
    expect(node.offer(1, 401)).toBe(true);
    expect(node.offer(0, 501)).toBe(true);
  });
});

describe("lanes", () => {
  it("of one origin never wait for each other, and count as its slowest", () => {
    const diamond = origin();
    const node = new Node([laneOf(diamond, 0), laneOf(diamond, 1), laneOf(origin(), 2)]);
    for (const path of [0, 1, 2]) node.offer(path, 0);
    expect(node.offer(0, 5000)).toBe(true);
    expect(node.offer(0, 6000)).toBe(true);
    expect(node.offer(2, 100)).toBe(true);
    expect(node.offer(2, 101)).toBe(false);
    expect(node.offer(1, 50)).toBe(true);
    expect(node.offer(2, 101)).toBe(true);
  });

  it("of a feedback neither wait nor hold others (R20)", () => {
    const node = new Node([...separate(2), laneOf(origin(), 2, true)]);
    for (const path of [0, 1]) node.offer(path, 0);
    expect(node.offer(2, 5000)).toBe(true);
    expect(node.offer(2, 6000)).toBe(true);
    expect(node.offer(0, 100)).toBe(true);
  });

  it("of a single origin are taken from as they come", () => {
    const [only] = separate(1);
    const node = new Node([only as LaneCursor]);
    expect([0, 5000, 90_000].map((watermark) => node.offer(0, watermark))).toEqual([true, true, true]);
  });
});
