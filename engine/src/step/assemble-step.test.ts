import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../frame/frame.ts";
import { type Point, START, wholly } from "../frame/point.ts";
import { sampleFrame, sampleHead } from "../testing/sample-frames.ts";
import { carriedDead, inputsOf, openedBy, stepId } from "./assemble-step.ts";
import { LaneCursor } from "./lane-cursor.ts";
import { ALL_RULES } from "./protocol-rules.ts";
import { StepChain } from "./step-chain.ts";
import type { StepWork } from "./step-work.ts";

function laneNamed(name: string, number: number): LaneCursor {
  const origin = { acknowledge: () => undefined, resume: () => undefined };
  const lane = new LaneCursor({ name, path: number, input: 0, feedback: false, origin });
  lane.number = number;
  return lane;
}

interface Piece {
  readonly lane: number;
  readonly advance: number;
  readonly messages: number;
  readonly watermark: number;
  readonly exact: boolean;
  readonly idle: boolean;
  readonly mark: number | null;
  readonly shed: number;
}

const piece: fc.Arbitrary<Piece> = fc.record({
  lane: fc.nat(1),
  advance: fc.nat(3),
  messages: fc.constantFrom(0, 0, 0, 1, 2),
  watermark: fc.integer({ min: 0, max: 100 }),
  exact: fc.boolean(),
  idle: fc.boolean(),
  mark: fc.option(fc.nat(9)),
  shed: fc.nat(3),
});

/** Work as an actor gathers it: ranges of each lane chain. */
function workOf(pieces: readonly Piece[], lanes: readonly LaneCursor[]): StepWork[] {
  const ends: Point[] = lanes.map(() => START);
  return pieces.map(({ lane: index, advance, messages, watermark, exact, idle, mark, shed }) => {
    const from = ends[index] as Point;
    const to = wholly(from.pos + advance + messages);
    ends[index] = to;
    const { batch, positions } = sampleFrame(from.pos + 1, Array<number>(messages).fill(0));
    const newest = mark === null ? null : { epoch: 1, n: mark };
    const head = sampleHead({ from, to, watermark, exact, idle, shed, mark: newest });
    return { lane: lanes[index] as LaneCursor, frame: new Frame(head, batch, positions), attempts: 0 };
  });
}

describe("the inputs of a step", () => {
  it("fold to what the lanes lived through, although neighbours without messages become one", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const lanes = [laneNamed("a", 0), laneNamed("b", 1)];
        const work = workOf(pieces, lanes);
        for (const { lane, frame } of work) {
          lane.admitted(frame.head);
          lane.apply(frame.head);
        }
        const inputs = inputsOf(work, ALL_RULES);
        const chain = new StepChain();
        const out = { watermark: 0, idle: false };
        const rest = {
          at: 0,
          since: 0,
          recorded: [],
          state: [],
          emitted: [],
          dead: [],
          dropped: [],
          watermark: 0,
          out,
        };
        chain.fold({ ...rest, inputs, opened: openedBy(inputs, lanes, chain) });
        for (const lane of lanes) {
          const known = chain.lanes.get(lane.name);
          if (known === undefined) expect(lane.cursor).toEqual(START);
          else expect([known.cursor, known.progress]).toEqual([lane.cursor, lane.progress]);
        }
        const sum = (pick: (w: StepWork) => number): number => work.reduce((total, w) => total + pick(w), 0);
        expect(inputs.reduce((total, i) => total + i.messages, 0)).toBe(sum((w) => w.frame.n));
        expect(inputs.reduce((total, i) => total + i.shed, 0)).toBe(sum((w) => w.frame.head.shed));
      }),
      { numRuns: 300 },
    );
  });

  it("keep the order in which lanes were taken (R12)", () => {
    const lanes = [laneNamed("a", 0), laneNamed("b", 1)];
    const plain = { advance: 0, messages: 1, watermark: 0, exact: true, idle: false, mark: null, shed: 0 };
    const work = workOf(
      [1, 0, 1].map((lane) => ({ ...plain, lane })),
      lanes,
    );
    expect(inputsOf(work, ALL_RULES).map((i) => i.lane)).toEqual([1, 0, 1]);
  });

  it("name a lane where the stream does not know it yet", () => {
    const lanes = [laneNamed("a", 0), laneNamed("b", 1)];
    const chain = new StepChain();
    chain.open({ lane: 0, name: "a" });
    const plain = { advance: 1, messages: 0, watermark: 0, exact: true, idle: false, mark: null, shed: 0 };
    const inputs = inputsOf(
      workOf(
        [0, 1, 0, 1].map((lane) => ({ ...plain, lane })),
        lanes,
      ),
      ALL_RULES,
    );
    expect(openedBy(inputs, lanes, chain)).toEqual([{ lane: 1, name: "b" }]);
  });
});

describe("the id of a step", () => {
  const inputs = (to: number) =>
    inputsOf(
      workOf(
        [{ lane: 0, advance: to, messages: 0, watermark: 0, exact: true, idle: false, mark: null, shed: 0 }],
        [laneNamed("a", 0)],
      ),
      ALL_RULES,
    );

  it("is the same for the same step, and differs with stream, epoch, revision and inputs (R17)", () => {
    const ids = [
      stepId("s", 1, 2, inputs(3)),
      stepId("t", 1, 2, inputs(3)),
      stepId("s", 2, 2, inputs(3)),
      stepId("s", 1, 3, inputs(3)),
      stepId("s", 1, 2, inputs(4)),
    ].map((id) => Buffer.from(id).toString("hex"));
    expect(new Set(ids).size).toBe(5);
    expect(ids[0]).toHaveLength(32);
    expect(Buffer.from(stepId("s", 1, 2, inputs(3))).toString("hex")).toBe(ids[0]);
  });
});

describe("dead items that come with the input", () => {
  it("get the lane's name and an id from it (R23)", () => {
    const item = {
      pos: 1,
      ord: 0,
      node: "n",
      attempts: 1,
      error: { code: "X", kind: "terminal", message: "" },
      input: 1,
    } as const;
    const dead = (name: string) => {
      const { head, batch, positions } = sampleFrame(0, []);
      return carriedDead([{ lane: laneNamed(name, 0), frame: new Frame(head, batch, positions, [item]), attempts: 0 }]);
    };
    expect(dead("a")).toEqual([{ ...item, lane: "a", id: expect.stringMatching(/^[0-9a-f]{32}$/) }]);
    expect(dead("a")[0]?.id).not.toBe(dead("b")[0]?.id);
  });
});
