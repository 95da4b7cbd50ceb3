import {
  type Column,
  ColumnBatch,
  type CommittedBehavior,
  type CommittedContext,
  type Draft,
  decodeBatch,
  engineError,
  type InputSlice,
  type Json,
  RowBatch,
  type SinkConnector,
  type StateEvent,
} from "@millrace/engine";
import { virtualEnv } from "@millrace/engine/testing";
import { afterEach, expect, test } from "vitest";
import { FRESH, RecordingDraft, sliceOf } from "../test/recording-draft.ts";
import { field } from "./field.ts";
import { httpPush } from "./http-push.ts";
import { map } from "./map.ts";
import { metronome } from "./metronome.ts";
import { connectorSink, discardSink, projectionSink } from "./sink.ts";
import { stateMode } from "./state-mode.ts";
import { telemetry } from "./telemetry.ts";

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort(new Error("the test is over"));
});

/** A context whose steps are durable at once, unless they are refused. */
function contextOf(
  behavior: () => CommittedBehavior,
  drafts: RecordingDraft[],
  refuse: () => boolean = () => false,
  at: () => number = () => 1_000,
): CommittedContext {
  const stop = new AbortController();
  stops.push(stop);
  return {
    graph: "graph",
    node: "node",
    revision: 1,
    output: FRESH,
    signal: stop.signal,
    fail: () => undefined,
    async request(run: (draft: Draft) => void | Promise<void>) {
      const draft = new RecordingDraft();
      draft.at = at();
      await run(draft);
      if (refuse()) {
        behavior().discard();
        throw engineError("NODE-FENCED", "refused");
      }
      behavior().seal();
      return drafts.push(draft);
    },
  };
}

/** Runs one step over rows. */
async function step(behavior: CommittedBehavior, rows: readonly Json[], isKept = true): Promise<RecordingDraft> {
  const draft = new RecordingDraft();
  behavior.take(draft, sliceOf(rows));
  await behavior.finish?.(draft);
  if (isKept) behavior.seal();
  else behavior.discard();
  return draft;
}

class ListSink implements SinkConnector {
  readonly guarantee = "offset";
  readonly held: Json[] = [];
  readonly opened: (Json | undefined)[] = [];
  async open(committed: Json | undefined): Promise<void> {
    this.opened.push(committed);
    this.held.length = (committed as number | undefined) ?? 0;
  }
  async deliver(slices: readonly InputSlice[]): Promise<Json> {
    for (const slice of slices) this.held.push(...slice.batch.rows());
    return this.held.length;
  }
  async close(): Promise<void> {}
}

test("a sink commits what its target said, and opens the target with what was committed last", async () => {
  const target = new ListSink();
  const sink = connectorSink(target);
  await sink.open?.({} as CommittedContext);
  const first = await step(sink, ["a", "b"]);
  const replica = connectorSink(target);
  for (const event of first.events) replica.fold(event);
  await replica.open?.({} as CommittedContext);
  await step(replica, ["c"]);
  expect(target.opened).toEqual([undefined, 2]);
  expect(target.held).toEqual(["a", "b", "c"]);
  const restored = connectorSink(target);
  restored.restore?.(structuredClone(replica.snapshot?.()) as StateEvent);
  await restored.open?.({} as CommittedContext);
  expect(target.opened.at(-1)).toBe(3);
});

test("a delivery whose step was thrown away is taken back before the next one", async () => {
  const target = new ListSink();
  const sink = connectorSink(target);
  await sink.open?.({} as CommittedContext);
  await step(sink, ["a"]);
  await step(sink, ["lost"], false);
  await step(sink, ["b"]);
  expect(target.held).toEqual(["a", "b"]);
});

test("a step without messages delivers nothing", async () => {
  const target = new ListSink();
  expect((await step(connectorSink(target), [])).events).toEqual([]);
});

test("a projection's rows are its state events, and rows without their key are rejected", async () => {
  const sink = projectionSink({ name: "board", key: ["id"] });
  const draft = await step(sink, [{ id: 1, x: "a" }, { x: "b" }, 7, { id: null }, { id: 2 }]);
  expect(draft.rejected).toEqual(["1 PROJECTION-KEY", "2 PROJECTION-KEY", "3 PROJECTION-KEY"]);
  const odd = await step(projectionSink({ name: "board", key: ["constructor"] }), [{ id: 1 }, { constructor: "x" }]);
  expect(odd.rejected).toEqual(["0 PROJECTION-KEY"]);
  const [event] = draft.events as unknown as readonly { rows: StateEvent }[];
  expect(decodeBatch(event?.rows as StateEvent).rows()).toEqual([{ id: 1, x: "a" }, { id: 2 }]);
});

test("a discarding sink takes messages and leaves nothing", async () => {
  const draft = await step(discardSink(), [1, 2]);
  expect([draft.events, draft.out, draft.drops]).toEqual([[], [], {}]);
});

test("in state mode only the latest message of a key counts, and only a changed result goes on", async () => {
  const make = (): CommittedBehavior => stateMode({ behavior: map({ select: ["id", "v"] }), key: field("id") });
  const behavior = make();
  const first = await step(behavior, [
    { id: 1, v: 1 },
    { id: 2, v: 5 },
    { id: 1, v: 2, noise: 1 },
  ]);
  expect(first.out).toEqual([
    { id: 2, v: 5 },
    { id: 1, v: 2 },
  ]);
  expect(first.drops).toEqual({ conflated: 1 });
  const scrapped = await step(behavior, [{ id: 1, v: 9 }], false);
  expect(scrapped.out).toEqual([{ id: 1, v: 9 }]);
  const second = await step(behavior, [
    { id: 1, v: 2, noise: 2 },
    { id: 2, v: 6 },
  ]);
  expect(second.out).toEqual([{ id: 2, v: 6 }]);
  const replica = make();
  for (const event of [...first.events, ...second.events]) replica.fold(event);
  expect(replica.snapshot?.()).toEqual(behavior.snapshot?.());
  expect((await step(replica, [{ id: 2, v: 6 }])).out).toEqual([]);
});

test("in state mode a message that fails is rejected in its own slice, and leaves the state as it was", async () => {
  const behavior = stateMode({ behavior: map({ drop: ["x"] }), key: field("id") });
  const draft = await step(behavior, [{ id: 1, x: 1 }, 7]);
  expect(draft.rejected).toEqual(["1 EXPR-RESULT"]);
  expect(draft.out).toEqual([{ id: 1 }]);
});

test("a push is answered with a position once its step is durable, and pushes that wait share a step", async () => {
  const push = httpPush();
  const drafts: RecordingDraft[] = [];
  await expect(push.accept([1])).rejects.toMatchObject({ code: "PUSH-CLOSED" });
  await push.open?.(contextOf(() => push, drafts));
  const answers = await Promise.all([push.accept([1]), push.accept([2, 3]), push.accept([4])]);
  expect(answers).toEqual([1, 2, 2]);
  expect(drafts.map((draft) => draft.out)).toEqual([[1], [2, 3, 4]]);
});

test("a push with a known id changes nothing, also after a restart, and one that was refused may come again", async () => {
  const drafts: RecordingDraft[] = [];
  let isRefused = true;
  const push = httpPush();
  await push.open?.(
    contextOf(
      () => push,
      drafts,
      () => isRefused,
    ),
  );
  await expect(push.accept(["a"], { id: "one" })).rejects.toMatchObject({ code: "NODE-FENCED" });
  isRefused = false;
  await push.accept(["a"], { id: "one" });
  await push.accept(["a"], { id: "one" });
  expect(drafts.map((draft) => draft.out)).toEqual([["a"], []]);
  const replica = httpPush();
  for (const event of drafts.flatMap((draft) => draft.events)) replica.fold(event);
  await replica.open?.(contextOf(() => replica, drafts));
  await Promise.all([
    replica.accept(["a"], { id: "one" }),
    replica.accept(["b"], { id: "two" }),
    replica.accept(["b"], { id: "two" }),
  ]);
  expect(drafts.slice(2).flatMap((draft) => draft.out)).toEqual(["b"]);
});

test("pushes beyond what may wait are refused at once, and those that waited when the node stopped are told", async () => {
  const push = httpPush({ waitingMax: 3 });
  const drafts: RecordingDraft[] = [];
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const context = contextOf(() => push, drafts);
  await push.open?.({ ...context, request: (run) => gate.then(() => context.request(run)) });
  const first = push.accept([1]);
  const waiting = push.accept([2, 3, 4]);
  await expect(push.accept([5])).rejects.toMatchObject({ code: "PUSH-FULL", kind: "transient" });
  waiting.catch(() => {});
  await push.close?.();
  go();
  expect(await first).toBe(1);
  await expect(waiting).rejects.toMatchObject({ code: "PUSH-CLOSED" });
});

test("a metronome ticks at its times and counts on after a restart", async () => {
  const env = virtualEnv(1);
  const drafts: RecordingDraft[] = [];
  const every = metronome({ everyMs: 250 }, env);
  await every.open?.(
    contextOf(
      () => every,
      drafts,
      undefined,
      () => env.clock.now(),
    ),
  );
  await env.advance(1_000);
  expect(drafts.map((draft) => (draft.out[0] as { tick: number }).tick)).toEqual([1, 2, 3, 4]);
  expect(drafts.every((draft) => draft.watermark === draft.at && draft.at % 250 === 0)).toBe(true);
  for (const stop of stops.splice(0)) stop.abort(new Error("stopped"));
  await env.advance(1_000);
  expect(drafts.length).toBe(4);

  const hourly = metronome({ cron: "0 * * * *" }, env);
  for (const event of drafts.flatMap((draft) => draft.events)) hourly.fold(event);
  await hourly.open?.(
    contextOf(
      () => hourly,
      drafts,
      undefined,
      () => env.clock.now(),
    ),
  );
  await env.advance(2 * 3_600_000);
  const ticks = drafts.slice(4).map((draft) => draft.out[0] as { tick: number; at: string });
  expect(ticks.map(({ tick }) => tick)).toEqual([5, 6]);
  expect(ticks.every(({ at }) => at.endsWith(":00:00.000Z"))).toBe(true);
});

test("a metronome ticks by the clock of its zone, also where that is put forward", async () => {
  const env = virtualEnv(1, { startMs: Date.parse("2026-03-28T00:00:00Z") });
  const drafts: RecordingDraft[] = [];
  const daily = metronome({ cron: "30 9 * * *", timezone: "Europe/Berlin" }, env);
  await daily.open?.(
    contextOf(
      () => daily,
      drafts,
      undefined,
      () => env.clock.now(),
    ),
  );
  await env.advance(2 * 86_400_000);
  const ticks = drafts.map((draft) => (draft.out[0] as { at: string }).at);
  expect(ticks).toEqual(["2026-03-28T08:30:00.000Z", "2026-03-29T07:30:00.000Z"]);
});

test("a metronome goes on when the wall clock is set back", async () => {
  const env = virtualEnv(1);
  const drafts: RecordingDraft[] = [];
  const behavior = metronome({ everyMs: 250 }, env);
  await behavior.open?.(contextOf(() => behavior, drafts));
  await env.advance(1_000);
  env.jumpClock(-3_600_000);
  await env.advance(1_000);
  expect(drafts.length).toBeGreaterThanOrEqual(7);
});

test("a refused tick is lost, and the next one comes", async () => {
  const env = virtualEnv(1);
  const drafts: RecordingDraft[] = [];
  let refusals = 2;
  const behavior = metronome({ everyMs: 100 }, env);
  await behavior.open?.(
    contextOf(
      () => behavior,
      drafts,
      () => refusals-- > 0,
    ),
  );
  await env.advance(400);
  expect(drafts.map((draft) => (draft.out[0] as { tick: number }).tick)).toEqual([1, 2]);
});

test("telemetry records what the probe says, so that a replay says it again", async () => {
  const env = virtualEnv(1);
  const drafts: RecordingDraft[] = [];
  const sample = { cpu: 0.5, memory: 0.25, load: 1, loopLagMs: 2, residentBytes: 3, heapBytes: 4 };
  let isClosed = false;
  const close = (): void => {
    isClosed = true;
  };
  const behavior = telemetry({ probe: { sample: () => sample, close } }, env);
  await behavior.open?.(contextOf(() => behavior, drafts));
  await env.advance(2_000);
  expect(drafts.length).toBe(2);
  expect(drafts[0]?.out).toMatchObject([{ cpu: 0.5, loop_lag_ms: 2, heap_bytes: 4, at: "1970-01-01T00:00:01.000Z" }]);
  expect(drafts[0]?.recorded).toEqual([sample]);
  await behavior.close?.();
  expect(isClosed).toBe(true);
});

test("without a key a projection keeps every message, and columns reach it as they are", async () => {
  const values = new Map<string, Column>([["n", { type: "number", values: Float64Array.of(1, 2, 3), nulls: null }]]);
  const batch = new ColumnBatch(values, Uint32Array.of(0, 2), 2);
  for (const [key, messages] of [
    [[], new RowBatch([1, "two"])],
    [["n"], batch],
  ] as const) {
    const sink = projectionSink({ name: "p", key });
    const draft = new RecordingDraft();
    sink.take(draft, sliceOf(messages));
    const [event] = draft.events as unknown as readonly { rows: StateEvent }[];
    expect(draft.rejected).toEqual([]);
    expect(decodeBatch(event?.rows as StateEvent).rows()).toEqual(messages.rows());
  }
});
