import type {
  CommittedContext,
  Draft,
  Feed,
  FeedGroup,
  FeedIntake,
  FeedReceipt,
  Json,
  StateEvent,
} from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { feedSource } from "./feed-source.ts";

/** A feed that a test pushes, and an actor that commits when the test says so. */
function setUp(waitingMax: number, snapshot?: StateEvent) {
  let intake: FeedIntake = {
    cursor: undefined,
    take: () => undefined,
    takeGroup: () => undefined,
    reject: () => undefined,
    lose: () => undefined,
  };
  let end: () => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const feed: Feed = {
    run(opened) {
      intake = opened;
      return new Promise((resolve, reject) => {
        end = resolve;
        fail = reject;
      });
    },
    connection: () => ({
      name: "x",
      state: "up",
      endpoint: "x",
      reason: "",
      sinceMs: 0,
      connects: 1,
      failures: 0,
    }),
  };
  const steps: { rows: readonly Json[]; dropped: readonly (readonly [number, string])[] }[] = [];
  const changes: StateEvent[] = [];
  const dead: (readonly [lane: string, pos: number, input: Json, error: unknown])[] = [];
  const waiting: (() => void)[] = [];
  const watermarks: number[] = [];
  const failures: unknown[] = [];
  const context = {
    signal: new AbortController().signal,
    fail: (error: unknown) => failures.push(error),
    request: (run: (draft: Draft) => void) =>
      new Promise<number>((resolve) => {
        waiting.push(() => {
          const rows: Json[] = [];
          const dropped: (readonly [number, string])[] = [];
          // Of a draft, a feed uses only these.
          run({
            emit: (_port: string, batch: { rows(): readonly Json[] }) => rows.push(...batch.rows()),
            drop: (count: number, reason: string) => dropped.push([count, reason]),
            change: (event: StateEvent) => changes.push(event),
            advanceOutput: (watermark: number) => watermarks.push(watermark),
            reject: (({ lane, positions, batch }, failures) => {
              for (const { index, error } of failures) dead.push([lane, positions.pos(index), batch.row(index), error]);
            }) as Draft["reject"],
          } as unknown as Draft);
          behavior.seal();
          steps.push({ rows, dropped });
          resolve(steps.length);
        });
      }),
  } as unknown as CommittedContext;
  const behavior = feedSource(feed, { waitingMax });
  if (snapshot !== undefined) behavior.restore?.(snapshot);
  void behavior.open?.(context);
  const commit = async (): Promise<void> => {
    waiting.shift()?.();
    await new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));
    await Promise.resolve();
  };
  return {
    behavior,
    push: (message: Json, receipt?: FeedReceipt) => intake.take(message, receipt),
    reject: (error: unknown, input: Json, receipt?: FeedReceipt) => intake.reject(error, input, receipt),
    group: (group: FeedGroup) => intake.takeGroup(group),
    cursor: () => intake.cursor,
    lose: (n: number, why: string) => intake.lose(n, why),
    end: () => end(),
    fail: (error: unknown) => fail(error),
    failures,
    watermarks,
    steps,
    changes,
    dead,
    commit,
  };
}

describe("a source over a feed", () => {
  test("joins what waits into one step", async () => {
    const { push, steps, commit } = setUp(100);
    push(1);
    push(2);
    push(3);
    await commit();
    await commit();
    expect(steps).toEqual([
      { rows: [1], dropped: [] },
      { rows: [2, 3], dropped: [] },
    ]);
  });

  test("sheds what comes faster than it is committed, counts it, and counts what could not be read", async () => {
    const { push, lose, steps, commit } = setUp(2);
    push(0);
    for (let i = 1; i <= 10; i++) push(i);
    lose(3, "was no JSON");
    await commit();
    await commit();
    expect(steps[1]).toEqual({
      rows: [1, 2],
      dropped: [
        [8, "came faster than it could be committed"],
        [3, "was no JSON"],
      ],
    });
  });

  test("settles what is durable, never before, and never sheds what waits for that", async () => {
    const { push, steps, commit } = setUp(1);
    const settled: number[] = [];
    for (let i = 0; i < 5; i++) push(i, { settle: () => settled.push(i) });
    expect(settled).toEqual([]);
    await commit();
    expect(settled).toEqual([0]);
    await commit();
    expect(settled).toEqual([0, 1, 2, 3, 4]);
    expect(steps.flatMap(({ dropped }) => dropped)).toEqual([]);
  });

  test("takes what has a known id once, settles it again, and knows it after a restart", async () => {
    const { push, steps, changes, commit } = setUp(100);
    let settled = 0;
    const settle = (): void => void settled++;
    push("a", { id: "1", settle });
    push("a again", { id: "1", settle });
    push("b", { id: "2", settle });
    await commit();
    await commit();
    expect(steps.map(({ rows }) => rows)).toEqual([["a"], ["b"]]);
    expect(settled).toBe(3);
    const later = setUp(100);
    for (const change of changes) later.behavior.fold(change);
    later.push("b again", { id: "2", settle });
    later.push("c", { id: "3", settle });
    await later.commit();
    await later.commit();
    expect(later.steps.map(({ rows }) => rows)).toEqual([[], ["c"]]);
    expect(settled).toBe(5);
  });

  test("makes what is no message a dead letter with a position of its own, and settles it", async () => {
    const { reject, dead, changes, commit } = setUp(100);
    let settled = 0;
    reject("first", "{", { settle: () => void settled++ });
    await commit();
    reject("second", "[", { settle: () => void settled++ });
    await commit();
    expect(dead).toEqual([
      ["feed", 0, "{", "first"],
      ["feed", 1, "[", "second"],
    ]);
    expect(settled).toBe(2);
    const later = setUp(100);
    for (const change of changes) later.behavior.fold(change);
    later.reject("third", "(");
    await later.commit();
    expect(later.dead).toEqual([["feed", 2, "(", "third"]]);
  });

  test("takes a group in one step with its cursor, however little may wait, and settles it then", async () => {
    const { push, group, steps, changes, commit } = setUp(1);
    const settled: Json[] = [];
    push(0);
    for (const cursor of ["a", "b"])
      group({
        items: [{ message: cursor }, { message: `${cursor}!` }],
        cursor,
        settle: () => settled.push(cursor),
      });
    group({ items: [], cursor: "c" });
    await commit();
    expect(settled).toEqual([]);
    await commit();
    expect(steps.map(({ rows }) => rows)).toEqual([[0], ["a", "a!", "b", "b!"]]);
    expect(changes).toEqual([{ ids: [], rejected: 0, cursor: "c" }]);
    expect(settled).toEqual(["a", "b"]);
  });

  test("gives the next run the last cursor of the log or of the snapshot, with ids and dead letters beside it", async () => {
    const first = setUp(100);
    expect(first.cursor()).toBeUndefined();
    first.group({
      items: [
        { message: 1, id: "1" },
        { message: "{", error: "bad" },
      ],
      cursor: { at: 1 },
    });
    await first.commit();
    first.group({
      items: [
        { message: 1, id: "1" },
        { message: 2, id: "2" },
      ],
      cursor: { at: 2 },
    });
    await first.commit();
    first.push(3);
    await first.commit();
    expect(first.steps.map(({ rows }) => rows)).toEqual([[1], [2], [3]]);
    expect(first.dead).toEqual([["feed", 0, "{", "bad"]]);
    const later = setUp(100, first.behavior.snapshot?.());
    expect(later.cursor()).toEqual({ at: 2 });
    later.group({
      items: [
        { message: 2, id: "2" },
        { message: "[", error: "bad" },
      ],
      cursor: { at: 3 },
    });
    await later.commit();
    expect(later.steps).toMatchObject([{ rows: [] }]);
    expect(later.dead).toEqual([["feed", 1, "[", "bad"]]);
    const { behavior } = later;
    for (const change of later.changes) behavior.fold(change);
    expect(behavior.snapshot?.()).toEqual({ ids: ["1", "2"], rejected: 2, cursor: { at: 3 } });
  });

  test("forgets a cursor whose step was refused", () => {
    const { behavior, group } = setUp(100);
    group({ items: [], cursor: "never committed" });
    behavior.discard();
    behavior.seal();
    expect(behavior.snapshot?.()).toEqual({ ids: [], rejected: 0 });
  });

  test("of a feed that comes to its end ends with a step of its own", async () => {
    const { behavior, push, end, steps, watermarks, commit } = setUp(100);
    push(1);
    end();
    await commit();
    expect(behavior.hasEnded?.()).toBe(false);
    await commit();
    expect(behavior.hasEnded?.()).toBe(true);
    expect(watermarks).toEqual([Number.POSITIVE_INFINITY]);
    expect(steps.map(({ rows }) => rows)).toEqual([[1], []]);
  });

  test("fails with what ends its feed before", async () => {
    const { behavior, fail, failures, commit } = setUp(100);
    const error = new Error("gone");
    fail(error);
    await commit();
    expect(failures).toEqual([error]);
    expect(behavior.hasEnded?.()).toBe(false);
  });

  test("shows the feed's connection", () => {
    expect(setUp(1).behavior.connection?.()).toMatchObject({ state: "up" });
  });
});
