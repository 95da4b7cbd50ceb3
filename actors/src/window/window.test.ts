import {
  type CommittedBehavior,
  type CommittedContext,
  Dictionary,
  type Draft,
  type GroupKernels,
  type InputSlice,
  isJsonObject,
  type Json,
  type JsonObject,
  type LateMark,
  Positions,
  RowBatch,
  reportOf,
  type StateEvent,
} from "@millrace/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  asColumns,
  asRows,
  everyArb,
  HOUR,
  type Make,
  type Message,
  marksOf,
  messagesArb,
  naive,
} from "../../test/hourly-flights.ts";
import { FRESH, RecordingDraft, sliceOf } from "../../test/recording-draft.ts";
import { field } from "../field.ts";
import { type Aggregate, planAggregates } from "./aggregate.ts";
import { OpenWindows } from "./open-windows.ts";
import { scriptGroups } from "./script-groups.ts";
import { type WindowOptions, window } from "./window.ts";
import { windowInput } from "./window-input.ts";

const compute = new Map<string, Aggregate>([
  ["flights", { fn: "count" }],
  ["known", { fn: "count", argument: field("delay") }],
]);
const delay = field("delay");
for (const fn of ["sum", "avg", "min", "max"] as const) compute.set(fn, { fn, argument: delay });

type Extra = Partial<Pick<WindowOptions, "everyMs" | "latenessMs" | "late" | "partBytes" | "kernels">>;

function hourly(extra: Extra = {}): CommittedBehavior {
  return window({ sizeMs: HOUR, time: field("date"), by: new Map([["origin", field("origin")]]), compute, ...extra });
}

interface Run {
  readonly rows: Json[];
  readonly dropped: number;
  readonly behavior: CommittedBehavior;
  readonly replica: CommittedBehavior;
}

/** Runs messages in steps cut at `cuts`; every step is first half taken and discarded. */
function run(
  behavior: CommittedBehavior,
  replica: CommittedBehavior,
  messages: readonly Message[],
  make: Make,
  cuts: readonly number[],
  end = true,
): Run {
  const { marks, after } = marksOf(messages, 2 * HOUR);
  const rows: Json[] = [];
  let dropped = 0;
  const bounds = [...new Set([0, ...cuts.filter((c) => c < messages.length), messages.length])].sort((a, b) => a - b);
  for (let b = 1; b < bounds.length; b++) {
    const [from, to] = [bounds[b - 1] as number, bounds[b] as number];
    const late = marks.flatMap((watermark, pos): LateMark[] =>
      watermark === null || pos < from || pos >= to ? [] : [{ pos, watermark }],
    );
    const slice = {
      lane: "l",
      input: 0,
      batch: make(messages.slice(from, to)),
      positions: Positions.dense(from, to - from),
      late,
    };
    const watermark = end && to === messages.length ? Number.POSITIVE_INFINITY : (after[to - 1] as number);
    const scrapped = new RecordingDraft();
    behavior.take(scrapped, slice);
    behavior.advance?.(scrapped, watermark);
    behavior.discard();
    const draft = new RecordingDraft();
    behavior.take(draft, slice);
    behavior.advance?.(draft, watermark);
    void behavior.finish?.(draft);
    behavior.seal();
    for (const event of draft.events) replica.fold(event);
    replica.foldWatermark?.(watermark);
    rows.push(...draft.out);
    dropped += draft.drops.late ?? 0;
  }
  return { rows, dropped, behavior, replica };
}

/** A node that is stopped and goes on from a snapshot wherever it is told to, and serves its own requests when it is. */
class PartialNode {
  readonly rows: Json[] = [];
  dropped = 0;
  readonly replica: CommittedBehavior;
  readonly #make: () => CommittedBehavior;
  #behavior: CommittedBehavior;
  #asked: ((draft: Draft) => void | Promise<void>)[] = [];

  constructor(make: () => CommittedBehavior) {
    this.#make = make;
    this.replica = make();
    this.#behavior = make();
    this.#open();
  }

  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  step(slice: InputSlice, watermark: number): void {
    this.#behavior.take(new RecordingDraft(), slice);
    this.#behavior.advance?.(new RecordingDraft(), watermark);
    this.#behavior.discard();
    this.#commit((draft) => {
      this.#behavior.take(draft, slice);
      this.#behavior.advance?.(draft, watermark);
      return this.#behavior.finish?.(draft);
    }, watermark);
  }

  serve(watermark: number): void {
    const run = this.#asked.shift();
    if (run !== undefined) this.#commit(run, watermark);
  }

  restart(): void {
    const snapshot = structuredClone(this.#behavior.snapshot?.()) as StateEvent;
    this.#behavior = this.#make();
    this.#behavior.restore?.(snapshot);
    this.#asked = [];
    this.#open();
  }

  #open(): void {
    const request: CommittedContext["request"] = (run) => {
      this.#asked.push(run);
      return new Promise(() => undefined);
    };
    const { signal } = new AbortController();
    void this.#behavior.open?.({
      graph: "g",
      node: "n",
      revision: 1,
      output: FRESH,
      request,
      fail: () => undefined,
      signal,
    });
  }

  #commit(run: (draft: Draft) => void | Promise<void>, watermark: number): void {
    const held = this.#behavior.hold?.() ?? Number.NEGATIVE_INFINITY;
    const draft = new RecordingDraft();
    void run(draft);
    this.#behavior.seal();
    for (const event of draft.events) this.replica.fold(event);
    this.replica.foldWatermark?.(watermark);
    expect(this.replica.snapshot?.()).toEqual(this.#behavior.snapshot?.());
    expect(draft.out.length).toBeLessThanOrEqual(3);
    for (const row of draft.out)
      if (isJsonObject(row)) expect(Date.parse(String(row.window_start))).toBeGreaterThanOrEqual(held);
    this.rows.push(...draft.out);
    this.dropped += draft.drops.late ?? 0;
  }
}

const cutsArb = fc.array(fc.integer({ min: 1, max: 59 }), { maxLength: 6 });

test("rows and columns, cut anywhere, give what a batch computation gives, and the log folds to the same state", () => {
  fc.assert(
    fc.property(
      messagesArb,
      cutsArb,
      cutsArb,
      fc.constantFrom(0, HOUR / 2, 3 * HOUR),
      everyArb,
      (messages, cutsA, cutsB, latenessMs, everyMs) => {
        const make = (): CommittedBehavior => hourly({ latenessMs, everyMs });
        const expected = naive(messages, latenessMs, everyMs);
        const rows = run(make(), make(), messages, asRows, cutsA);
        const columns = run(make(), make(), messages, asColumns(new Dictionary()), cutsB);
        expect(rows.rows).toEqual(expected.rows);
        expect(columns.rows).toEqual(expected.rows);
        expect([rows.dropped, columns.dropped]).toEqual([expected.dropped, expected.dropped]);
      },
    ),
    { numRuns: 300 },
  );
});

test("a replica that folded the log, or a snapshot of it, stands where the node stands", () => {
  fc.assert(
    fc.property(messagesArb, cutsArb, everyArb, (messages, cuts, everyMs) => {
      for (const make of [asRows, asColumns(new Dictionary())]) {
        const { behavior, replica } = run(hourly({ everyMs }), hourly({ everyMs }), messages, make, cuts, false);
        const restored = hourly({ everyMs });
        restored.restore?.(structuredClone(behavior.snapshot?.()) as StateEvent);
        expect(replica.snapshot?.()).toEqual(behavior.snapshot?.());
        expect(restored.snapshot?.()).toEqual(behavior.snapshot?.());
        const rest = new RecordingDraft();
        const folded = new RecordingDraft();
        behavior.advance?.(rest, Number.POSITIVE_INFINITY);
        replica.advance?.(folded, Number.POSITIVE_INFINITY);
        expect(folded.out).toEqual(rest.out);
      }
    }),
    { numRuns: 200 },
  );
});

test("what ends at once goes out in parts, whatever comes between them, and nothing is left, repeated or out of order", () => {
  const then = fc.array(fc.constantFrom("serve", "restart"), { maxLength: 3 });
  fc.assert(
    fc.property(
      messagesArb,
      cutsArb,
      fc.array(then),
      fc.constantFrom(0, HOUR),
      everyArb,
      (messages, cuts, thens, latenessMs, everyMs) => {
        const node = new PartialNode(() => hourly({ latenessMs, everyMs, partBytes: 3 * (9 + 9 * 8) }));
        const { marks, after } = marksOf(messages, 2 * HOUR);
        const bounds = [...new Set([0, ...cuts.filter((c) => c < messages.length), messages.length])].sort(
          (a, b) => a - b,
        );
        for (const [b, to] of bounds.entries()) {
          const from = bounds[b - 1];
          if (from === undefined) continue;
          const late = marks.flatMap((watermark, pos): LateMark[] =>
            watermark === null || pos < from || pos >= to ? [] : [{ pos, watermark }],
          );
          const positions = Positions.dense(from, to - from);
          const watermark = to === messages.length ? Number.POSITIVE_INFINITY : (after[to - 1] as number);
          node.step({ lane: "l", input: 0, batch: asRows(messages.slice(from, to)), positions, late }, watermark);
          for (const what of thens[b] ?? []) what === "serve" ? node.serve(watermark) : node.restart();
        }
        while (node.isAsked) node.serve(Number.POSITIVE_INFINITY);
        const expected = naive(messages, latenessMs, everyMs);
        expect(node.rows).toEqual(expected.rows);
        expect(node.dropped).toBe(expected.dropped);
      },
    ),
    { numRuns: 300 },
  );
});

test("messages without a time or with a value that is no number are rejected, the rest counts", () => {
  const behavior = hourly();
  const draft = new RecordingDraft();
  const good = { date: "2001-01-01T00:10:00", origin: "ATL", delay: 3 };
  behavior.take(
    draft,
    sliceOf(
      new RowBatch([
        good,
        { ...good, date: "soon" },
        { ...good, delay: "much" },
        { ...good, date: null, delay: [] },
        good,
      ]),
    ),
  );
  behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  expect(draft.failures.map((f) => [f.index, reportOf(f.error).code])).toEqual([
    [1, "WINDOW-TIME"],
    [2, "WINDOW-VALUE"],
    [3, "WINDOW-TIME"],
  ]);
  expect(draft.out).toMatchObject([{ window_start: "2001-01-01T00:00:00.000Z", flights: 2, sum: 6 }]);
});

test("late messages go to the late port where the graph has one", () => {
  const behavior = hourly({ late: "port" });
  const draft = new RecordingDraft();
  const batch = new RowBatch([
    { date: 10, origin: "A", delay: 1 },
    { date: 20, origin: "B", delay: 2 },
  ]);
  behavior.take(draft, sliceOf(batch, [{ pos: 1, watermark: 5 * HOUR }]));
  behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  expect(draft.emitted.get("late")).toEqual([{ date: 20, origin: "B", delay: 2 }]);
  expect(draft.out).toMatchObject([{ origin: "A" }]);
  expect(draft.drops.late ?? 0).toBe(0);
});

test("a lane that was idle cannot open a window again that the node has closed", () => {
  const behavior = hourly();
  const draft = new RecordingDraft();
  behavior.advance?.(draft, 5 * HOUR);
  behavior.take(draft, sliceOf(new RowBatch([{ date: 10, origin: "A", delay: 1 }])));
  behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  expect([draft.drops.late ?? 0, draft.out]).toEqual([1, []]);
});

test("a sum beyond the range of numbers is null, not a value that JSON cannot say", () => {
  const behavior = hourly();
  const draft = new RecordingDraft();
  behavior.take(draft, sliceOf(new RowBatch([1, 2].map(() => ({ date: 1, origin: "A", delay: 1.7e308 })))));
  behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  expect(draft.out).toMatchObject([{ sum: null, max: 1.7e308 }]);
});

test("the node's output watermark waits for the first window that may still be emitted", () => {
  const behavior = hourly({ latenessMs: HOUR });
  behavior.advance?.(new RecordingDraft(), 4.5 * HOUR);
  expect(behavior.hold?.()).toBe(3 * HOUR);
});

test("windows that hop skip the time in which nothing happened, and go out as they end", () => {
  const behavior = hourly({ everyMs: HOUR / 4 });
  const starts: number[][] = [];
  const YEARS = 100 * 365 * 24;
  for (const [date, to] of [
    [0.9, 1.3],
    [YEARS + 0.5, YEARS + 1.1],
    [YEARS + 1.2, Number.POSITIVE_INFINITY],
  ] as const) {
    const draft = new RecordingDraft();
    behavior.take(draft, sliceOf(new RowBatch([{ date: date * HOUR, origin: "A", delay: 1 }])));
    behavior.advance?.(draft, to * HOUR);
    behavior.seal();
    starts.push(draft.out.map((row) => Date.parse(String((row as { window_start: string }).window_start)) / HOUR));
  }
  const later = (...hours: readonly number[]): readonly number[] => hours.map((h) => YEARS + h);
  expect(starts).toEqual([[0, 0.25], [0.5, 0.75, ...later(-0.25, 0)], later(0.25, 0.5, 0.75, 1)]);
});

test("what can be asked of a node whose windows hop are the windows, not what they are made of", () => {
  const behavior = hourly({ everyMs: HOUR / 2 });
  const draft = new RecordingDraft();
  const rows = [0.1, 0.6, 1.2].map((h) => ({ date: h * HOUR, origin: "A", delay: h }));
  behavior.take(draft, sliceOf(new RowBatch(rows)));
  behavior.advance?.(draft, 0.5 * HOUR);
  behavior.seal();
  expect(draft.out).toMatchObject([{ window_start: "1969-12-31T23:30:00.000Z", flights: 1 }]);
  const shown = behavior.inspect?.() as { rows: readonly JsonObject[] };
  expect(shown.rows.map((row) => [row.window_start, row.flights, row.max])).toEqual([
    ["1970-01-01T00:00:00.000Z", 2, 0.6],
    ["1970-01-01T00:30:00.000Z", 2, 1.2],
    ["1970-01-01T01:00:00.000Z", 1, 1.2],
  ]);
});

test("of windows that hop and end together those of the next part are put together, and by a replay none", () => {
  let combined = 0;
  const kernels: GroupKernels = {
    name: scriptGroups.name,
    windows: (...options) => {
      const kernel = scriptGroups.windows(...options);
      const { combine } = kernel;
      kernel.combine = (from, to) => {
        combined++;
        return combine.call(kernel, from, to);
      };
      return kernel;
    },
  };
  const HOPS = 60;
  const make = (): CommittedBehavior => hourly({ everyMs: HOUR / HOPS, partBytes: 1, kernels });
  const behavior = make();
  const replica = make();
  let asked: ((draft: Draft) => void | Promise<void>) | undefined;
  const request: CommittedContext["request"] = (run) => {
    asked = run;
    return new Promise(() => undefined);
  };
  void behavior.open?.({ request } as CommittedContext);
  const rows: Json[] = [];
  const step = (work: (draft: Draft) => void | Promise<void>): void => {
    const draft = new RecordingDraft();
    void work(draft);
    void behavior.finish?.(draft);
    behavior.seal();
    rows.push(...draft.out);
    for (const event of draft.events) replica.fold(event);
    const before = combined;
    replica.foldWatermark?.(Number.POSITIVE_INFINITY);
    expect(combined).toBe(before);
    expect(replica.snapshot?.()).toEqual(behavior.snapshot?.());
  };
  step((draft) => {
    const pair = ["A", "B"].map((origin) => ({ date: 0, origin, delay: 1 }));
    behavior.take(draft, sliceOf(new RowBatch(pair)));
    behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  });
  expect([rows.length, combined]).toEqual([1, 1]);
  for (let run = asked; run !== undefined; run = asked) {
    asked = undefined;
    step(run);
  }
  // Each of two rows, a window still once.
  expect([rows.length, combined]).toEqual([2 * HOPS, HOPS]);
});

test("a message behind the first of its windows is late for all of them", () => {
  const behavior = hourly({ everyMs: HOUR / 2 });
  const draft = new RecordingDraft();
  const batch = new RowBatch([0.4, 0.6].map((h) => ({ date: h * HOUR, origin: "A", delay: 1 })));
  behavior.take(
    draft,
    sliceOf(batch, [
      { pos: 0, watermark: 0.5 * HOUR },
      { pos: 1, watermark: 0.9 * HOUR },
    ]),
  );
  behavior.advance?.(draft, Number.POSITIVE_INFINITY);
  expect(draft.drops.late).toBe(1);
  expect(draft.out).toMatchObject([{ window_start: "1970-01-01T00:00:00.000Z", flights: 1 }, { flights: 1 }]);
});

test("windows that are no whole number of hops long are refused", () => {
  expect(() => hourly({ everyMs: HOUR / 2.5 })).toThrow(/whole number of hops/);
});

test("keys of several fields, keys that are objects, and no key at all are told apart", () => {
  const batch = new RowBatch([
    { t: 1, a: 1, b: "1" },
    { t: 1, a: "1", b: 1 },
    { t: 1, a: { x: 1, y: 2 }, b: null },
    { t: 1, a: { y: 2, x: 1 }, b: null },
  ]);
  const counted = (by: Map<string, ReturnType<typeof field>>): Json[] => {
    const draft = new RecordingDraft();
    const behavior = window({
      sizeMs: HOUR,
      time: field("t"),
      by,
      compute: new Map([["n", { fn: "count" }]]),
    });
    behavior.take(draft, sliceOf(batch));
    behavior.advance?.(draft, Number.POSITIVE_INFINITY);
    return draft.out.map((row) => (isJsonObject(row) ? (row.n as Json) : null));
  };
  expect(
    counted(
      new Map([
        ["a", field("a")],
        ["b", field("b")],
      ]),
    ),
  ).toEqual([1, 1, 2]);
  expect(counted(new Map([["a", field("a")]]))).toEqual([1, 1, 2]);
  expect(counted(new Map())).toEqual([4]);
});

test("keys that never return are forgotten, and the groups of the others stay theirs", () => {
  const plan = planAggregates(compute);
  const windows = new OpenWindows(HOUR, 1, plan.cells);
  const options = {
    ...plan,
    everyMs: HOUR,
    timeMsMax: Number.MAX_VALUE,
    latenessMs: 0,
    time: field("date"),
    by: [field("origin")],
  };
  const count = (hour: number, origins: readonly string[]): void => {
    const batch = new RowBatch(origins.map((origin, i) => ({ date: hour * HOUR + i, origin, delay: i })));
    windows.accumulate(windowInput(sliceOf(batch), 0, options));
    windows.end((hour + 1) * HOUR);
    windows.leave(undefined);
    windows.seal();
  };
  windows.accumulate(
    windowInput(sliceOf(new RowBatch([{ date: 99 * HOUR, origin: "late riser", delay: 0 }])), 0, options),
  );
  for (let hour = 0; hour < 20; hour++)
    count(
      hour,
      Array.from({ length: 1000 }, (_, i) => `${hour}-${i}`),
    );
  expect(windows.keyCount).toBeLessThan(6000);
  expect(windows.all().keys).toEqual([["late riser"]]);
});

test("aggregates share the cells they have in common", () => {
  expect(planAggregates(compute).cells.map((cell) => cell.fold)).toEqual([
    "messages",
    "nulls",
    "sum",
    "nulls",
    "min",
    "max",
  ]);
});
