import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ColumnBatch, RowBatch } from "../frame/batch.ts";
import type { Column } from "../frame/column.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";
import { WatermarkGenerator } from "./watermark-generator.ts";

const BOUND = 30;
const OPTIONS = { field: "at", boundMs: BOUND };
const BEFORE = Number.NEGATIVE_INFINITY;

const times = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 1, arbitrary: fc.constant("rubbish") },
  ),
  {
    maxLength: 40,
  },
);

interface Passed {
  readonly late: readonly (readonly [pos: number, watermark: number])[];
  readonly untimed: readonly number[];
  readonly watermark: number;
}

/** Passes the rows in frames that end at `cuts`; at those in `restarts` a generator starts anew from the anchor. */
function passed(rows: readonly Json[], cuts: readonly number[], restarts: ReadonlySet<number>): Passed {
  let generator = new WatermarkGenerator(OPTIONS, BEFORE);
  const late: [number, number][] = [];
  const untimed: number[] = [];
  const ends = [...new Set([...cuts.filter((c) => c < rows.length), rows.length])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    const result = generator.pass(
      generator.times(new RowBatch(rows.slice(start, end).map((at) => ({ at })))),
      Positions.dense(start, end - start),
    );
    late.push(...result.late.map((l): [number, number] => [l.pos, l.watermark]));
    untimed.push(...result.untimed.map((u) => start + u.index));
    if (restarts.has(end)) generator = new WatermarkGenerator(OPTIONS, generator.watermark);
    start = end;
  }
  return { late, untimed, watermark: generator.watermark };
}

/** The definition, message by message. */
function byDefinition(rows: readonly Json[]): Passed {
  const late: [number, number][] = [];
  const untimed: number[] = [];
  let watermark = BEFORE;
  rows.forEach((at, pos) => {
    if (typeof at !== "number") untimed.push(pos);
    else if (at < watermark) late.push([pos, watermark]);
    else watermark = Math.max(watermark, at - BOUND);
  });
  return { late, untimed, watermark };
}

describe("watermarks of a source", () => {
  it("are the highest time seen less the bound, and late is what lies below the watermark just before it", () => {
    fc.assert(
      fc.property(times, (rows) => {
        expect(passed(rows, [], new Set())).toEqual(byDefinition(rows));
      }),
    );
  });

  it("give the same late set whatever the frames and wherever the generator starts again (R19)", () => {
    const cuts = fc.array(fc.nat(40), { maxLength: 10 });
    fc.assert(
      fc.property(times, cuts, cuts, (rows, frames, restarts) => {
        expect(passed(rows, [...frames, ...restarts], new Set(restarts))).toEqual(byDefinition(rows));
      }),
      { numRuns: 300 },
    );
  });

  it("carry the watermark that a late message met", () => {
    expect(passed([100, 69, 70, 200, 100], [], new Set()).late).toEqual([
      [1, 70],
      [4, 170],
    ]);
  });
});

describe("the event time of a message", () => {
  const timesOf = (rows: readonly Json[]): number[] => [
    ...new WatermarkGenerator(OPTIONS, BEFORE).times(new RowBatch(rows)),
  ];

  it("is read from milliseconds and from ISO 8601", () => {
    expect(timesOf([{ at: 5 }, { at: "1970-01-01T00:00:01Z" }, { at: "1970-01-02" }])).toEqual([5, 1000, 86_400_000]);
  });

  it("is not a number where there is none that can be read", () => {
    const rows = [
      {},
      { at: null },
      { at: "soon" },
      { at: true },
      "text",
      null,
      [1],
      { at: 1e300 },
      { at: "+275760-01-01" },
    ];
    expect(timesOf(rows).every(Number.isNaN)).toBe(true);
  });

  it("is the same from columns of every form as from rows", () => {
    const at = [3, 1, 2];
    const forms: Column[] = [
      { type: "time", values: Float64Array.from(at), nulls: null },
      { type: "number", values: Float64Array.from(at), nulls: null },
      { type: "json", values: at },
    ];
    const generator = new WatermarkGenerator(OPTIONS, BEFORE);
    for (const column of forms) {
      const batch = new ColumnBatch(new Map([["at", column]]), null, 3);
      expect([...generator.times(batch)]).toEqual(at);
      expect([...generator.times(batch.select(Uint32Array.of(0, 2)))]).toEqual([3, 2]);
    }
  });

  it("is not a number for text that is no ISO 8601, though JavaScript would find a time in it, another in each zone", () => {
    const texts = ["12", "hello 3", "2024/01/01 10:00", "Jan 1 2024", "01.02.2024", " 2024-01-01", "2024-1-1"];
    expect(timesOf(texts.map((at) => ({ at }))).every(Number.isNaN)).toBe(true);
  });

  it("of a time column beyond year 9999 cannot be read, so that it does not move the watermark past all others", () => {
    const beyond = Date.UTC(20_000, 0, 1);
    const column: Column = { type: "time", values: Float64Array.of(1, beyond, 3), nulls: null };
    const batch = new ColumnBatch(new Map([["at", column]]), null, 3);
    const generator = new WatermarkGenerator(OPTIONS, BEFORE);
    expect([...generator.times(batch)]).toEqual([1, Number.NaN, 3]);
    expect([...generator.times(batch.select(Uint32Array.of(1, 2)))]).toEqual([Number.NaN, 3]);
    expect([...column.values]).toEqual([1, beyond, 3]);
  });

  it("of a null in a time column cannot be read", () => {
    const column: Column = { type: "time", values: Float64Array.of(1, 2), nulls: Uint8Array.of(0, 1) };
    const generator = new WatermarkGenerator(OPTIONS, BEFORE);
    expect([...generator.times(new ColumnBatch(new Map([["at", column]]), null, 2))]).toEqual([1, Number.NaN]);
    expect(generator.times(new ColumnBatch(new Map(), null, 2))).toEqual(Float64Array.of(Number.NaN, Number.NaN));
  });

  it("that names no zone is UTC, wherever the machine is", () => {
    const zone = process.env.TZ;
    process.env.TZ = "America/New_York";
    try {
      const generator = new WatermarkGenerator(OPTIONS, BEFORE);
      const texts = ["2001-01-01T00:00:00", "2001-01-01 00:00", "2001-01-01", "2001-01-01T00:00:00-05:00"];
      const found = generator.times(new RowBatch(texts.map((at) => ({ at }))));
      const midnight = Date.UTC(2001, 0, 1);
      expect([...found]).toEqual([midnight, midnight, midnight, midnight + 5 * 3_600_000]);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it("that cannot be read is told with its index and code, and moves nothing", () => {
    const generator = new WatermarkGenerator(OPTIONS, 7);
    const { untimed, late } = generator.pass(Float64Array.of(Number.NaN), Positions.dense(0, 1));
    expect(untimed).toEqual([{ index: 0, error: expect.objectContaining({ code: "MSG-TIME" }) }]);
    expect([late, generator.watermark]).toEqual([[], 7]);
  });
});
