import { describe, expect, test } from "vitest";
import { MillraceError } from "../errors.ts";
import { ColumnBatch, RowBatch } from "../frame/batch.ts";
import { type Column, cell, Dictionary } from "../frame/column.ts";
import type { Json } from "../frame/json.ts";
import { cel } from "./cel.ts";
import { columnForm } from "./column-result.ts";
import { compileExpression } from "./expression.ts";
import { UNSURE } from "./lift.ts";
import { maskForm } from "./mask-form.ts";

function thrownBy(run: () => unknown): MillraceError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

const numbers = (...values: readonly number[]): Column => ({
  type: "number",
  values: Float64Array.from(values),
  nulls: null,
});
const times = (...values: readonly string[]): Column => ({
  type: "time",
  values: Float64Array.from(values, Date.parse),
  nulls: null,
});

function dictionary(...values: readonly Json[]): Column & { readonly type: "dictionary" } {
  const entries = new Dictionary();
  return {
    type: "dictionary",
    dictionary: entries,
    codes: Uint32Array.from(values, (v) => entries.code(v)),
    nulls: null,
  };
}

function batchOf(columns: Readonly<Record<string, Column>>, n: number): ColumnBatch {
  return new ColumnBatch(new Map(Object.entries(columns)), null, n);
}

describe("an expression over one message", () => {
  test.each<[string, Json, Json]>([
    ["event.delay >= 15", { delay: 15 }, true],
    ["event.n * 2 + 1", { n: 3 }, 7],
    ["7 / 2", {}, 3],
    ["event.n / 2", { n: 7 }, 3.5],
    ["event.n % 10 == 0", { n: 40 }, true],
    ["event.one == 1 || event.x", { one: 1.0 }, true],
    ['event.a.b["c d"]', { a: { b: { "c d": null } } }, null],
    ["event.constructor", { constructor: 1 }, 1],
    ["has(event.toString) || has(event.__proto__)", {}, false],
    ["event.__proto__.a", JSON.parse('{"__proto__":{"a":1}}'), 1],
    [
      "{'__proto__': 1, 'constructor': {'prototype': 2}}",
      {},
      JSON.parse('{"__proto__":1,"constructor":{"prototype":2}}'),
    ],
    ['event.s + "!"', { s: "hi" }, "hi!"],
    ["size(event.s)", { s: "é😀" }, 2],
    ["event.l.filter(i, i > 1).map(i, i * 2)", { l: [1, 2, 3] }, [4, 6]],
    ["event.l.exists(i, event.m.all(i, i > 0) && i == 2)", { l: [1, 2], m: [1] }, true],
    ["event.m.exists(k, k == 'a')", { m: { a: 1 } }, true],
    ["has(event.a.b) && event.a.b > 1", { a: {} }, false],
    ["has(event.a) ? event.a : null", { a: null }, null],
    ['{"total": event.a + event.b, "tags": [event.a, "x"]}', { a: 1, b: 2 }, { total: 3, tags: [1, "x"] }],
    ['timestamp(event.at) + duration("90m")', { at: "2001-01-01T00:00:00Z" }, "2001-01-01T01:30:00.000Z"],
    ['timestamp(event.at) - timestamp("2001-01-01T00:00:00Z")', { at: "2001-01-01T01:00:00Z" }, "3600s"],
    ["timestamp(event.at).getHours()", { at: "2001-01-01T23:59:00Z" }, 23],
    ['timestamp(event.at).getHours("Asia/Tokyo")', { at: "2001-01-01T23:59:00Z" }, 8],
    ['timestamp(event.at).getDayOfMonth("Asia/Tokyo")', { at: "2001-01-31T23:59:00Z" }, 0],
    ['timestamp(event.at).getMinutes("Asia/Kolkata")', { at: "2001-01-01T23:59:00Z" }, 29],
    ['timestamp(event.at).getHours("America/New_York")', { at: "2026-03-08T07:30:00Z" }, 3],
    ['timestamp(event.at).getFullYear("UTC")', { at: "0050-06-01T00:00:00.5Z" }, 50],
    ["timestamp(event.at).getDayOfYear()", { at: "2024-12-31T23:59:59.999Z" }, 365],
    ['timestamp(event.at).getDayOfYear("Asia/Tokyo")', { at: "2024-12-31T23:59:59.999Z" }, 0],
    ['b"abc"', {}, "YWJj"],
    ["type(event.n)", { n: 1 }, "double"],
    ["event.s.matches('^A.*B$')", { s: "AxxB" }, true],
    ["cel.bind(d, event.a - event.b, d * d)", { a: 1, b: 4 }, 9],
    ["-0.0 * event.n", { n: 1 }, 0],
    ["1.0 < event.n / -(0)", { n: 1 }, true],
    ["1.0 < event.n / -(0.0)", { n: 1 }, false],
    ["event", 5, 5],
  ])("%s", (source, event, result) => {
    const value = compileExpression(source).row(event);
    expect(value).toEqual(result);
    expect(JSON.parse(JSON.stringify(value))).toEqual(value);
  });

  test.each<[string, string, Json]>([
    ["timestamp(event.at)", "2026-01-01T23:59:00.000", "2026-01-01T23:59:00.000Z"],
    ["timestamp(event.at).getDayOfYear()", "2026-07-01T00:00:00Z", 181],
    // The machine's clock never showed that time.
    ['timestamp(event.at).getHours("UTC")', "2026-03-08T02:30:00Z", 2],
  ])("%s does not depend on the zone of the machine", (source, at, result) => {
    const zone = process.env.TZ;
    process.env.TZ = "America/New_York";
    try {
      expect(new Date("2026-01-01T00:00").getTimezoneOffset()).toBe(300);
      expect(compileExpression(source).row({ at })).toBe(result);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  test.each<[string, Json, string]>([
    ["event.delay >= 15", {}, "No such key: delay in `event.delay >= 15`"],
    ["event.delay >= 15", { delay: null }, "no such overload: null >= int in `event.delay >= 15`"],
    ["event.delay >= 15", "text", "No such key: delay in `event.delay >= 15`"],
    ["event.a + event.b", { a: 1, b: "2" }, "no such overload: double + string in `event.a + event.b`"],
    ["event.a.b", { a: [1] }, "No such key: b in `event.a.b`"],
    ["event.l[2]", { l: [1] }, "No such key: index 2 of a list of 1 in `event.l[2]`"],
    ["event.a / event.b", { a: 1, b: 0 }, "the result is Infinity, which JSON cannot say in `event.a / event.b`"],
    ["int(event.a) / 0", { a: 1 }, "division by zero in `int(event.a) / 0`"],
    ["event.a && true", { a: 1 }, "expected a bool, got double in `event.a && true`"],
    [
      "timestamp(event.a)",
      { a: "yesterday" },
      "timestamp() requires a string in ISO 8601 format in `timestamp(event.a)`",
    ],
    ["timestamp(event.a)", { a: "28 November 2026 20:00" }, "timestamp() requires a string in ISO 8601 format"],
    ["timestamp(event.a)", { a: "2026-02-30T00:00:00Z" }, "timestamp() requires a string in ISO 8601 format"],
    [
      'timestamp(event.a).getHours("Moon/Base")',
      { a: "2001-01-01T00:00:00Z" },
      "Invalid time zone specified: Moon/Base",
    ],
  ])("%s fails for %j", (source, event, message) => {
    const error = thrownBy(() => compileExpression(source, { node: "late" }).row(event));
    expect(error.code).toBe("EXPR-FAILED");
    expect(error.message).toContain(message);
    expect(error.place).toEqual({ node: "late" });
    expect(error.details).toMatchObject({ expression: source });
  });

  test.each<[string, number, string]>([
    ["event.delay >=", 14, "Unexpected end of the expression"],
    ["evnt.delay", 0, "Unknown variable: evnt; did you mean `event`?"],
    ["delay > 3", 0, "Unknown variable: delay; a field of the message is written `event.delay`"],
    ["1 + 'a'", 0, "no such overload: int + string"],
    ["event.a > timestamp('monday')", 10, "timestamp() requires"],
    ["event.t - duration('1 day') > event.u", 10, "Invalid duration string"],
    ["event.s.matches('(')", 16, "invalid regular expression: ("],
    ["event.s.foo()", 0, "found no matching overload for"],
    ["[", 1, "Unexpected end of the expression"],
    ["", 0, "Unexpected end of the expression"],
    [`${"(".repeat(20_000)}1${")".repeat(20_000)}`, 100, "Exceeded maxDepth"],
  ])("%.40s is refused when it is compiled", (source, at, message) => {
    const error = thrownBy(() => compileExpression(source));
    expect(error.code).toBe("EXPR-INVALID");
    expect(error.message).toContain(message);
    expect(error.details).toMatchObject({ at });
  });

  test("knows its type and what it reads", () => {
    const { type, fields, wholeEvent } = compileExpression("event.b.c > 1 && event.a.all(event, event > 2)");
    expect({ type, fields, wholeEvent }).toEqual({ type: "bool", fields: ["a", "b"], wholeEvent: false });
    expect(compileExpression("size(event) + event.a").wholeEvent).toBe(true);
  });

  test("computes constants once", () => {
    const expression = compileExpression('{"list": [1, 2, 3]}');
    expect(expression.row(null)).toEqual({ list: [1, 2, 3] });
    expect(compileExpression("[1, 2].map(i, i + 1) == [2, 3]").row(null)).toBe(true);
  });
});

describe("an expression over columns", () => {
  const flights = batchOf(
    {
      delay: { type: "number", values: Int32Array.of(10, 20, 0, 15), nulls: Uint8Array.of(0, 0, 1, 0) },
      origin: dictionary("ORD", "ATL", "ORD", "SFO"),
      airport: dictionary({ state: "IL", lat: 41.9 }, { state: "GA", lat: 33.6 }, null, { state: "CA" }),
      date: times("2001-01-01T06:00:00Z", "2001-02-01T07:00:00Z", "2001-03-01T08:00:00Z", "2001-04-01T09:00:00Z"),
    },
    4,
  );

  test("selects messages, and one bad message does not fail the others", () => {
    const { selected, failures } = compileExpression("event.delay >= 15", { node: "late" }).predicate(flights);
    expect([...selected]).toEqual([1, 3]);
    expect(failures).toMatchObject([{ index: 2, error: { code: "EXPR-FAILED", place: { node: "late" } } }]);
  });

  test("counts messages of a selection, not cells", () => {
    const { selected, failures } = compileExpression("event.delay >= 15").predicate(
      flights.select(Uint32Array.of(1, 2, 3)),
    );
    expect([...selected]).toEqual([0, 2]);
    expect(failures.map((f) => f.index)).toEqual([1]);
  });

  test("gives a column that fits beside the batch's own, also under a selection", () => {
    const some = flights.select(Uint32Array.of(1, 3));
    const { column, failures } = compileExpression("event.delay * 2").column(some);
    expect(failures).toEqual([]);
    expect(some.with("double", column).rows()).toMatchObject([
      { origin: "ATL", double: 40 },
      { origin: "SFO", double: 30 },
    ]);
  });

  test("fails every message when a field has no column", () => {
    expect(compileExpression("event.dealy > 1").predicate(flights).failures).toHaveLength(4);
    expect(compileExpression("event.dealy").column(flights).failures).toHaveLength(4);
  });

  test("reports a predicate that gives no bool", () => {
    const { selected, failures } = compileExpression("event.origin").predicate(flights);
    expect(selected).toHaveLength(0);
    expect(failures[0]).toMatchObject({
      index: 0,
      error: { message: "expected a bool, got string in `event.origin`" },
    });
    expect(compileExpression("event.a").predicate(new RowBatch([{ a: 1 }, { a: true }]))).toMatchObject({
      failures: [{ index: 0 }],
    });
  });

  test("hands a field's own column on instead of copying it", () => {
    expect(compileExpression("event.origin").column(flights).column).toBe(flights.columns.get("origin"));
  });

  test.each([
    "event.delay >= 15",
    "15 <= event.delay && event.delay != 20",
    "event.delay * 2 - 1 > event.delay",
    "event.delay in [10, 20]",
    "event.delay == null || event.delay < 0",
    'event.origin == "ORD" || event.origin.startsWith("A")',
    'event.origin in ["ORD", "ATL"]',
    'event.airport != null && event.airport.state == "IL"',
    "event.origin.size() == 3",
    'timestamp(event.date) >= timestamp("2001-02-01T00:00:00Z")',
    "timestamp(event.date).getHours() > 7",
    'event.date >= "2001-02" && event.date != "2001-02-01T07:00:00.000Z"',
    "has(event.gate)",
    "!(event.delay > 100)",
  ])("%s needs no rows", (source) => {
    const sure = flights.select(Uint32Array.of(0, 1));
    const mask = maskForm(cel.parse(source).ast)(sure);
    expect(mask).not.toBeNull();
    expect(mask).not.toContain(UNSURE);
  });

  test.each([
    ["event.delay / 60 + 1", "number"],
    ["size(event.origin) * 2", "dictionary"],
    ["event.delay > 3", "boolean"],
    ["event.airport.state", "dictionary"],
    ["timestamp(event.date)", "time"],
    ["timestamp(event.date).getHours() / 2", "number"],
  ])("%s is computed without rows as a %s column", (source, type) => {
    const sure = flights.select(Uint32Array.of(0, 1));
    const drafted = columnForm(cel.parse(source).ast, compileExpression(source).type)(sure);
    expect(drafted?.column.type).toBe(type);
    expect(drafted?.open?.includes(1) ?? false).toBe(false);
  });

  test("evaluates a dictionary's entries once, and new entries when they come", () => {
    const expression = compileExpression('event.name.upperAscii().startsWith("A")');
    const column = dictionary("ann", "bob");
    const evaluated: Json[] = [];
    const watched = new Proxy(column.dictionary.values, {
      get: (values, key) => {
        if (/^\d+$/.test(String(key))) evaluated.push(values[Number(key)] as Json);
        return Reflect.get(values, key);
      },
    });
    Object.defineProperty(column.dictionary, "values", { value: watched });
    const select = (codes: readonly number[]): number[] => {
      const batch = batchOf({ name: { ...column, codes: Uint32Array.from(codes) } }, codes.length);
      return [...expression.predicate(batch).selected];
    };
    expect(select([0, 1, 0, 0])).toEqual([0, 2, 3]);
    expect(select([1, 0])).toEqual([1]);
    column.dictionary.code("amy");
    expect(select([2, 1, 2])).toEqual([0, 2]);
    expect(evaluated).toEqual(["ann", "bob", "amy"]);
  });

  test("keeps selections apart from call to call", () => {
    const expression = compileExpression("event.n > 0");
    const batch = (...values: number[]): ColumnBatch => batchOf({ n: numbers(...values) }, values.length);
    const first = expression.predicate(batch(1, 0, 1)).selected;
    const second = expression.predicate(batch(0, 1)).selected;
    expect([[...first], [...second]]).toEqual([[0, 2], [1]]);
    const large = Float64Array.from({ length: 200_000 }, (_, i) => i);
    expect(
      expression.predicate(batchOf({ n: { type: "number", values: large, nulls: null } }, large.length)).selected,
    ).toHaveLength(199_999);
    expect([...first]).toEqual([0, 2]);
  });

  test("falls back to JSON cells when results differ in type", () => {
    const mixed = batchOf({ a: { type: "json", values: [1, "x"] }, b: { type: "json", values: [2, "y"] } }, 2);
    const { column, failures } = compileExpression("event.a + event.b").column(mixed);
    expect(failures).toEqual([]);
    expect([0, 1].map((i) => cell(column, i))).toEqual([3, "xy"]);
  });
});
