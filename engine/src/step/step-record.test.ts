import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { ErrorReport } from "../errors.ts";
import type { Json } from "../frame/json.ts";
import { END } from "../frame/point.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import { arbitraryJson } from "../testing/arbitrary-json.ts";
import { decodeStep, encodeOwned, encodeStep, type StepRecord } from "./step-record.ts";

/** msgpack writes -0 as 0, as JSON text does. */
const json = arbitraryJson().map((value) => JSON.parse(JSON.stringify(value)) as Json);
const whole = fc.oneof(fc.nat(1000), fc.maxSafeNat());
const point = fc.record({ pos: fc.oneof(fc.constant(-1), whole), ord: fc.oneof(fc.nat(3), fc.constant(END)) });
const watermark = fc.oneof(
  fc.constantFrom(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
  fc.integer({ min: -1e12, max: 1e13 }),
);
const bytes = fc.uint8Array({ maxLength: 40 });
const stateEvent: fc.Arbitrary<StateEvent> = fc.oneof(
  json as fc.Arbitrary<StateEvent>,
  bytes,
  fc.array(bytes, { maxLength: 2 }),
);

const step: fc.Arbitrary<StepRecord> = fc.record({
  at: whole,
  since: watermark,
  inputs: fc.array(
    fc.record({
      lane: fc.nat(64),
      from: point,
      to: point,
      watermark,
      exact: fc.boolean(),
      idle: fc.boolean(),
      mark: fc.option(fc.record({ epoch: whole, n: whole })),
      revision: fc.nat(100),
      messages: fc.nat(5000),
      shed: fc.nat(5000),
    }),
    { maxLength: 3 },
  ),
  opened: fc.array(fc.record({ lane: fc.nat(64), name: fc.string({ unit: "grapheme" }) }), { maxLength: 2 }),
  recorded: fc.array(json, { maxLength: 3 }),
  state: fc.array(stateEvent, { maxLength: 3 }),
  emitted: fc.array(
    fc.record({
      port: fc.string({ unit: "grapheme" }),
      firstSeq: whole,
      count: fc.nat(5000),
      batch: stateEvent,
      late: fc.array(fc.record({ pos: fc.nat(5000), watermark }), { maxLength: 2 }),
    }),
    { maxLength: 2 },
  ),
  dead: fc.array(
    fc.record({
      id: fc.string({ unit: "grapheme" }),
      lane: fc.constant("a#0>b"),
      pos: whole,
      ord: fc.nat(9),
      node: fc.constant("b"),
      attempts: fc.nat(9),
      error: fc.constant<ErrorReport>({ code: "X", kind: "terminal", message: "m", place: { line: 3 }, causes: ["c"] }),
      input: fc.option(json, { nil: undefined }),
    }),
    { maxLength: 2 },
  ),
  dropped: fc.array(fc.record({ reason: fc.string(), count: whole }), { maxLength: 2 }),
  watermark,
  out: fc.record({ watermark, idle: fc.boolean() }),
});

/** The decoder gives byte strings as views of Node's own kind of byte array. */
function plain<T>(value: T): T {
  return structuredClone(value);
}

describe("a step record", () => {
  it("is read back as it was written, whatever it holds", () => {
    fc.assert(
      fc.property(step, (record) => {
        expect(plain(decodeStep(encodeStep(record)))).toEqual(record);
      }),
      { numRuns: 200 },
    );
  });

  it("tells an input that could not be decoded from one that is null", () => {
    const [sample] = fc.sample(step, 1) as [StepRecord];
    const dead = {
      id: "1",
      lane: "l",
      pos: 0,
      ord: 0,
      node: "n",
      attempts: 1,
      error: { code: "X", kind: "terminal", message: "" },
    } as const;
    const record = {
      ...sample,
      dead: [
        { ...dead, input: undefined },
        { ...dead, input: null },
      ],
    };
    expect(decodeStep(encodeStep(record)).dead.map((d) => d.input)).toEqual([undefined, null]);
  });

  it("is written the same way every time, so that its id and hash can be compared", () => {
    fc.assert(
      fc.property(step, (record) => {
        expect(encodeStep(decodeStep(encodeStep(record)))).toEqual(encodeStep(record));
      }),
      { numRuns: 50 },
    );
  });

  it("keeps the bytes of one record apart from those of the next", () => {
    const first = encodeStep({ ...(fc.sample(step, 1) as [StepRecord])[0], recorded: ["first"] });
    const copy = first.slice();
    encodeStep({ ...(fc.sample(step, 1) as [StepRecord])[0], recorded: ["second"] });
    expect(first).toEqual(copy);
  });
});

describe("state as bytes", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(stateEvent, (event) => {
        expect(plain(unpackState(packState(event)))).toEqual(event);
      }),
    );
  });
});

describe("the record of an owner", () => {
  it("is read back as it was written", () => {
    expect(unpackState(encodeOwned({ epoch: 2 ** 40, host: "höst" }))).toEqual([2 ** 40, "höst"]);
  });
});
