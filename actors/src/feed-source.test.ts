import type { CommittedContext, Draft, Feed, Json } from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { feedSource } from "./feed-source.ts";

/** A feed that a test pushes, and an actor that commits when the test says so. */
function setUp(waitingMax: number) {
  let push: (message: Json) => void = () => undefined;
  let lose: (count: number, reason: string) => void = () => undefined;
  const feed: Feed = {
    async run(take, lost) {
      push = take;
      lose = lost;
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
  const waiting: (() => void)[] = [];
  const context = {
    signal: new AbortController().signal,
    request: (run: (draft: Draft) => void) =>
      new Promise<number>((resolve) => {
        waiting.push(() => {
          const rows: Json[] = [];
          const dropped: (readonly [number, string])[] = [];
          // Of a draft, a feed uses only these.
          run({
            emit: (_port: string, batch: { rows(): readonly Json[] }) => rows.push(...batch.rows()),
            drop: (count: number, reason: string) => dropped.push([count, reason]),
          } as unknown as Draft);
          steps.push({ rows, dropped });
          resolve(steps.length);
        });
      }),
  } as unknown as CommittedContext;
  const behavior = feedSource(feed, { waitingMax });
  void behavior.open?.(context);
  const commit = async (): Promise<void> => {
    waiting.shift()?.();
    await new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));
    await Promise.resolve();
  };
  return { behavior, push: (m: Json) => push(m), lose: (n: number, why: string) => lose(n, why), steps, commit };
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

  test("shows the feed's connection", () => {
    expect(setUp(1).behavior.connection?.()).toMatchObject({ state: "up" });
  });
});
