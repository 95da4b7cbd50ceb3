/**
 * Windows with groups kept by the addon against the same windows by TypeScript: the same rows, in the same order, the same events for
 * the log, to the last bit (`isDeepStrictEqual` tells -0 from 0), over hostile values, drafts that are given up, replay and snapshots.
 */
import { isDeepStrictEqual } from "node:util";
import { field, type WindowOptions, window } from "@millrace/actors";
import {
  type Batch,
  type Column,
  ColumnBatch,
  type CommittedBehavior,
  type CommittedContext,
  Dictionary,
  type Draft,
  type GroupKernels,
  type Json,
  Positions,
  RowBatch,
  reportOf,
  type StateEvent,
} from "@millrace/engine";
import { nativeGroups } from "@millrace/native";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const HOUR = 3_600_000;

/** Counts what it passes on, so that no test passes because nothing was native. */
function counted(): GroupKernels & { messages: number; renumberings: number; combined: number } {
  const native = nativeGroups() as GroupKernels;
  const counter = {
    name: native.name,
    messages: 0,
    renumberings: 0,
    combined: 0,
    windows: (...options: Parameters<GroupKernels["windows"]>) => {
      const kernel = native.windows(...options);
      const { accumulate, renumber, combine } = kernel;
      kernel.combine = (from, to) => {
        const n = combine.call(kernel, from, to);
        counter.combined += n;
        return n;
      };
      kernel.renumber = (numbers) => {
        counter.renumberings++;
        renumber.call(kernel, numbers);
      };
      kernel.accumulate = (frame) => {
        counter.messages += frame.keys.length;
        accumulate.call(kernel, frame);
      };
      return kernel;
    },
  };
  return counter;
}

type Options = Pick<WindowOptions, "sizeMs" | "everyMs" | "latenessMs" | "by" | "partBytes">;

const x = field("x");
const compute: WindowOptions["compute"] = new Map([
  ["n", { fn: "count" }],
  ["known", { fn: "count", argument: x }],
  ["named", { fn: "count", argument: field("k") }],
  ["sum", { fn: "sum", argument: x }],
  ["avg", { fn: "avg", argument: x }],
  ["min", { fn: "min", argument: x }],
  ["max", { fn: "max", argument: x }],
]);
const options = { time: field("t"), compute, late: "port" } as const;

/** Everything that a node does with a draft, as values. */
class Recorder {
  readonly did: unknown[] = [];
  readonly draft = {
    emit: (port: string, batch: Batch) => this.did.push(["emit", port, batch.rows(), formOf(batch)]),
    change: (event: StateEvent) => this.did.push(["change", structuredClone(event)]),
    drop: (n: number, reason: string) => this.did.push(["drop", n, reason]),
    reject: (_slice: unknown, failures: readonly { index: number; error: unknown }[]) =>
      this.did.push(["reject", failures.map(({ index, error }) => [index, reportOf(error).code])]),
  } as unknown as Draft;
}

function formOf(batch: Batch): unknown {
  if (!(batch instanceof ColumnBatch)) return batch.kind;
  return [...batch.columns].map(([name, column]) =>
    column.type === "dictionary" ? [name, column.codes, column.dictionary.values] : [name, column],
  );
}

interface Message {
  readonly t: number;
  readonly k: Json;
  readonly j: Json;
  readonly x: number | null;
}

type Form = "rows" | "columns" | "ints";

/** Columns behind a selection that skips physical rows, or rows. */
function batchOf(messages: readonly Message[], form: Form, dictionary: Dictionary): Batch {
  if (form === "rows") return new RowBatch(messages.map((m) => ({ ...m })));
  const n = 2 * messages.length;
  const values = form === "ints" ? new Int32Array(n) : new Float64Array(n).fill(Number.NaN);
  const times = new Float64Array(n).fill(Number.NaN);
  const nulls = new Uint8Array(n);
  const codes = new Uint32Array(n);
  const others = new Array<Json>(n).fill(null);
  for (const [i, m] of messages.entries()) {
    const at = 2 * i + 1;
    times[at] = m.t;
    values[at] = m.x ?? 7;
    nulls[at] = m.x === null ? 1 : 0;
    codes[at] = dictionary.code(m.k);
    others[at] = m.j;
  }
  const columns = new Map<string, Column>([
    ["t", { type: "time", values: times, nulls: null }],
    ["k", { type: "dictionary", codes, dictionary, nulls: null }],
    ["j", { type: "json", values: others }],
    ["x", { type: "number", values, nulls }],
  ]);
  const selection = Uint32Array.from(messages, (_, i) => 2 * i + 1);
  return new ColumnBatch(columns, selection, messages.length);
}

interface Step {
  readonly messages: readonly Message[];
  readonly form: Form;
  /** Event time that the node has heard of at the end of the step. */
  readonly watermark: number;
  /** Done once for nothing before it is done. */
  readonly isRepeated: boolean;
  /** Begin again from a snapshot. */
  readonly isRestored: boolean;
  /** How many of the steps that the node has asked for come before the next. */
  readonly served: number;
}

/** A node, and a second one that follows it by its log. */
class FollowedNode {
  readonly recorder = new Recorder();
  readonly states: unknown[] = [];
  readonly #make: () => CommittedBehavior;
  readonly #replica: CommittedBehavior;
  #node: CommittedBehavior;
  #asked: ((draft: Draft) => void | Promise<void>)[] = [];

  constructor(make: () => CommittedBehavior) {
    this.#make = make;
    this.#replica = make();
    this.#node = make();
    this.#open();
  }

  /** A step; `repeats`: done once for nothing before it is done. */
  step(batch: Batch, watermark: number, repeats: boolean): void {
    const slice = { lane: "l", input: 0, batch, positions: Positions.dense(0, batch.n), late: [] };
    const work = (draft: Draft): void => {
      if (batch.n > 0) this.#node.take(draft, slice);
      this.#node.advance?.(draft, watermark);
    };
    if (repeats) {
      work(new Recorder().draft);
      this.#node.discard();
    }
    this.#commit((draft) => {
      work(draft);
      void this.#node.finish?.(draft);
    }, watermark);
  }

  /** The steps that the node has asked for itself, at most so many. */
  serve(most: number, watermark: number): void {
    for (let i = 0; i < most && this.#asked.length > 0; i++) this.#commit(this.#asked.shift() as never, watermark);
  }

  restart(): void {
    const snapshot = this.#node.snapshot?.() as StateEvent;
    this.#node = this.#make();
    this.#node.restore?.(structuredClone(snapshot));
    this.#asked = [];
    this.#open();
  }

  #open(): void {
    const request: CommittedContext["request"] = (run) => {
      this.#asked.push(run);
      return new Promise(() => undefined);
    };
    void this.#node.open?.({ request } as CommittedContext);
  }

  #commit(work: (draft: Draft) => void, watermark: number): void {
    const from = this.recorder.did.length;
    work(this.recorder.draft);
    this.#node.seal();
    for (const did of this.recorder.did.slice(from) as [string, StateEvent][])
      if (did[0] === "change") this.#replica.fold(did[1]);
    this.#replica.foldWatermark?.(watermark);
    this.states.push(
      structuredClone([
        this.#node.snapshot?.(),
        this.#replica.snapshot?.(),
        this.#node.inspect?.(),
        this.#node.hold?.(),
      ]),
    );
  }
}

/** All that a node does and is. */
function runOf(by: Options, steps: readonly Step[], kernels: GroupKernels | undefined): unknown {
  const node = new FollowedNode(() => window({ ...options, ...by, kernels }));
  const dictionary = new Dictionary();
  for (const { messages, form, watermark, isRepeated, isRestored, served } of steps) {
    node.step(batchOf(messages, form, dictionary), watermark, isRepeated);
    node.serve(served, watermark);
    if (isRestored) node.restart();
  }
  node.step(batchOf([], "rows", dictionary), Number.POSITIVE_INFINITY, true);
  node.serve(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  return { did: node.recorder.did, states: node.states };
}

/** The strict comparison is fast, the other one shows what differs. */
function expectSame(by: Options, steps: readonly Step[]): ReturnType<typeof counted> {
  const kernels = counted();
  const script = runOf(by, steps, undefined);
  const native = runOf(by, steps, kernels);
  if (!isDeepStrictEqual(native, script)) expect(native).toStrictEqual(script);
  expect(isDeepStrictEqual(native, script)).toBe(true);
  return kernels;
}

const EXTREME = [
  0,
  -0,
  1,
  -1,
  0.1,
  5e-324,
  -5e-324,
  1.7e308,
  -1.7e308,
  2 ** 31,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
];
const KEYS: readonly Json[] = ["", "ATL", "é", "é", "😀", "\ud800", "\u0000", 0, -0, "0", null, true, "null", 1e300];
const messageArb: fc.Arbitrary<Message> = fc.record({
  t: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -3 * HOUR, max: 9 * HOUR }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, -0, HOUR, -HOUR, 1e300, -1e300, 2 ** 53, Number.NaN, Number.NEGATIVE_INFINITY),
    },
  ),
  k: fc.constantFrom(...KEYS),
  j: fc.oneof(fc.constantFrom<Json>(...KEYS, { a: 1, b: 2 }, { b: 2, a: 1 }, [], {}), fc.string({ unit: "binary" })),
  x: fc.oneof(fc.integer({ min: -60, max: 600 }), fc.constantFrom(...EXTREME), fc.double(), fc.constant(null)),
});
const stepsArb = fc.array(
  fc.record({
    messages: fc.array(messageArb, { maxLength: 30 }),
    form: fc.constantFrom<Form>("rows", "columns", "ints"),
    watermark: fc.oneof(fc.integer({ min: -4 * HOUR, max: 9 * HOUR }), fc.constantFrom(-0, 1e300)),
    isRepeated: fc.boolean(),
    isRestored: fc.boolean(),
    served: fc.constantFrom(0, 1, Number.POSITIVE_INFINITY),
  }),
  { maxLength: 8 },
);
const spanArb: fc.Arbitrary<Pick<Options, "sizeMs" | "everyMs">> = fc.oneof(
  fc.constantFrom(HOUR, 1, 7, 0.5, 86_400_000, 1e300).map((sizeMs) => ({ sizeMs })),
  fc
    .tuple(fc.constantFrom(3 * HOUR, 24, 86_400_000), fc.constantFrom(2, 3))
    .map(([sizeMs, hops]) => ({ sizeMs, everyMs: sizeMs / hops })),
);
const otherOptionsArb: fc.Arbitrary<Omit<Options, "sizeMs" | "everyMs">> = fc.record({
  latenessMs: fc.constantFrom(0, HOUR / 2, 3 * HOUR),
  partBytes: fc.constantFrom(1, 500, 1024 * 1024),
  by: fc.constantFrom(
    new Map([["k", field("k")]]),
    new Map([["j", field("j")]]),
    new Map([
      ["k", field("k")],
      ["j", field("j")],
    ]),
    new Map(),
  ),
});
const optionsArb: fc.Arbitrary<Options> = fc
  .tuple(spanArb, otherOptionsArb)
  .map(([span, other]) => ({ ...span, ...other }));

describe.skipIf(skipped !== undefined)(`windows with native groups${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("do and are what windows with groups in TypeScript do and are", () => {
    let messages = 0;
    let combined = 0;
    const same = (by: Options, steps: readonly Step[]): void => {
      const kernels = expectSame(by, steps);
      messages += kernels.messages;
      combined += kernels.combined;
    };
    fc.assert(fc.property(optionsArb, stepsArb, same), { numRuns: 200 });
    expect(messages).toBeGreaterThan(300);
    expect(combined).toBeGreaterThan(300);
  });

  it.each([
    ["tumble", HOUR],
    ["hop", HOUR / 2],
  ])(
    "do so for large frames with more keys than any window has, which are forgotten again: windows that %s",
    (_name, everyMs) => {
      const steps = Array.from(
        { length: 12 },
        (_, s): Step => ({
          messages: Array.from({ length: 2000 }, (_, i) => ({
            t: s * HOUR + ((i * 7919) % (2 * HOUR)),
            k: i % 3 === 0 ? `stays ${i % 100}` : `${s}-${i % 1500}`,
            j: null,
            x: i % 11 === 0 ? null : (i * 0.1) % 17,
          })),
          form: "columns",
          watermark: (s % 4 === 3 ? s + 1 : s - 1) * HOUR,
          isRepeated: s % 3 === 1,
          isRestored: false,
          served: s % 2,
        }),
      );
      const { messages, renumberings } = expectSame(
        { sizeMs: HOUR, everyMs, latenessMs: 0, partBytes: 200_000, by: new Map([["k", field("k")]]) },
        steps,
      );
      expect(messages).toBeGreaterThan(15_000);
      expect(renumberings).toBeGreaterThan(0);
    },
  );
});

describe.skipIf(skipped !== undefined)("the native kernel", () => {
  const kernel = () =>
    (nativeGroups() as GroupKernels).windows(HOUR, [
      { fold: "messages", input: -1 },
      { fold: "sum", input: 0 },
    ]);
  const frame = {
    at: null,
    times: Float64Array.of(1, 2),
    keys: Uint32Array.of(0, 1),
    keyCount: 2,
    inputs: [{ values: Int32Array.of(3, 4), nulls: null }],
  };

  it.each([
    ["an index beyond the columns", { ...frame, at: Uint32Array.of(0, 2) }],
    ["a key that is none", { ...frame, keys: Uint32Array.of(0, 2) }],
    ["fewer times than messages", { ...frame, times: Float64Array.of(1) }],
    ["a cell without its input", { ...frame, inputs: [] }],
    ["fewer values than messages", { ...frame, inputs: [{ values: Int32Array.of(3), nulls: null }] }],
  ])("refuses %s and keeps its state", (_name, wrong) => {
    const groups = kernel();
    groups.accumulate(frame);
    expect(() => groups.accumulate(wrong)).toThrow(/every/);
    expect(groups.all()).toBe(2);
    const into = { starts: new Float64Array(2), keys: new Uint32Array(2), cells: new Float64Array(4) };
    groups.read(into);
    expect(into).toEqual({
      starts: Float64Array.of(0, 0),
      keys: Uint32Array.of(0, 1),
      cells: Float64Array.of(1, 1, 3, 4),
    });
    expect(() => groups.read({ ...into, starts: new Float64Array(1) })).toThrow(/room/);
  });
});
