import { describe, expect, it } from "vitest";
import { engineError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import { Positions } from "../frame/positions.ts";
import { deadLetterId } from "./dead-letter-id.ts";
import { StepDraft } from "./step-draft.ts";

describe("a draft of a step", () => {
  it("keeps outputs and changes in call order and leaves empty outputs out", () => {
    const draft = new StepDraft("n", 1);
    const batch = new RowBatch([1]);
    draft.emit("a", batch);
    draft.emit("a", new RowBatch([]));
    draft.emit("b", batch);
    draft.change("x");
    draft.change({ y: 1 });
    expect(draft.emits).toEqual([
      { port: "a", batch, late: [] },
      { port: "b", batch, late: [] },
    ]);
    expect(draft.changes).toEqual(["x", { y: 1 }]);
  });

  it("adds up what is dropped, by reason", () => {
    const draft = new StepDraft("n", 1);
    draft.drop(2, "late");
    draft.drop(0, "never");
    draft.drop(3, "late");
    draft.drop(1, "stale");
    expect(draft.drops).toEqual([
      { reason: "late", count: 5 },
      { reason: "stale", count: 1 },
    ]);
  });

  it("turns refused messages into dead letters with their place and an id that is the same in every run (R23)", () => {
    const draft = new StepDraft("n", 1);
    const positions = Positions.of(Float64Array.of(4, 9), Uint32Array.of(0, 2));
    const slice = { lane: "a#0>n", input: 0, batch: new RowBatch(["x", "y"]), positions, late: [] };
    draft.reject(slice, [{ index: 1, error: engineError("MSG-POISON", "no") }], 3);
    expect(draft.dead).toEqual([
      {
        id: deadLetterId("a#0>n", 9, 2, "n"),
        lane: "a#0>n",
        pos: 9,
        ord: 2,
        node: "n",
        attempts: 3,
        error: { code: "MSG-POISON", kind: "terminal", message: "no" },
        input: "y",
      },
    ]);
  });
});

describe("the id of a dead letter", () => {
  it("differs with each of lane, position, ordinal and node", () => {
    const ids = [
      deadLetterId("l", 1, 0, "n"),
      deadLetterId("m", 1, 0, "n"),
      deadLetterId("l", 2, 0, "n"),
      deadLetterId("l", 1, 1, "n"),
      deadLetterId("l", 1, 0, "m"),
    ];
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(deadLetterId("l", 1, 0, "n")).toBe(ids[0]);
  });
});

describe("recorded results (R13)", () => {
  it("are obtained and logged in a live run, and only read in a replay", async () => {
    const live = new StepDraft("n", 1);
    const results = [live.record(() => 7), await live.recordAsync(async () => "answer"), live.record(() => null)];
    expect(results).toEqual([7, "answer", null]);
    expect(live.recorded).toEqual(results);
    const replay = new StepDraft("n", 1, live.recorded);
    const never = (): never => {
      throw new Error("a replay calls nothing");
    };
    expect([replay.record(never), await replay.recordAsync(never), replay.record(never)]).toEqual(results);
    expect(replay.recorded).toEqual(results);
  });

  it("keep the order of calls, not of answers", async () => {
    const draft = new StepDraft("n", 1);
    let answerFirst: (value: string) => void = () => undefined;
    const first = draft.recordAsync<string>(() => new Promise((resolve) => (answerFirst = resolve)));
    const second = draft.recordAsync(async () => "second");
    draft.record(() => "third");
    await second;
    answerFirst("first");
    await first;
    expect(draft.recorded).toEqual(["first", "second", "third"]);
  });

  it("leave their place when a call fails, so that the order of the others holds", async () => {
    const draft = new StepDraft("n", 1);
    await expect(draft.recordAsync(() => Promise.reject(new Error("down")))).rejects.toThrow("down");
    draft.record(() => 1);
    expect(draft.recorded).toEqual([null, 1]);
  });

  it("that a replay asks for beyond the logged ones show that the code is not deterministic", async () => {
    const replay = new StepDraft("n", 1, [1]);
    replay.record(() => 1);
    expect(() => replay.record(() => 2)).toThrow(expect.objectContaining({ code: "NODE-NONDETERMINISM" }));
    await expect(replay.recordAsync(async () => 2)).rejects.toMatchObject({ code: "NODE-NONDETERMINISM" });
  });
});
