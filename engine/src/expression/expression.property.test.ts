import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MillraceError } from "../errors.ts";
import { ColumnBatch, RowBatch } from "../frame/batch.ts";
import { type Column, cell, Dictionary } from "../frame/column.ts";
import type { Json } from "../frame/json.ts";
import { cel } from "./cel.ts";
import { compileExpression, type Expression } from "./expression.ts";
import { toJson } from "./values.ts";

/** Expressions over n, m (numbers), s, t (strings), b (bool), l (list), o (object with x and y), d (time), z (often missing). */
const { expression } = fc.letrec<{ expression: string; condition: string; number: string; text: string; list: string }>(
  (tie) => ({
    expression: fc.oneof({ weight: 4, arbitrary: tie("condition") }, tie("number"), tie("text"), tie("list")),
    condition: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(
        "event.b",
        "true",
        "has(event.z)",
        "has(event.o.x)",
        "event.z == null",
        "event.n != null",
        "event.z",
      ),
      fc
        .tuple(tie("number"), fc.constantFrom("<", "<=", ">", ">=", "==", "!="), tie("number"))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc
        .tuple(tie("text"), fc.constantFrom("<", ">=", "==", "!="), tie("text"))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc
        .tuple(tie("text"), fc.constantFrom("startsWith", "endsWith", "contains"), tie("text"))
        .map(([a, f, b]) => `${a}.${f}(${b})`),
      fc.tuple(tie("text"), fc.constantFrom("a+", "^b", "x|y")).map(([a, b]) => `${a}.matches("${b}")`),
      fc
        .tuple(tie("condition"), fc.constantFrom("&&", "||"), tie("condition"))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie("condition").map((a) => `!(${a})`),
      fc.tuple(tie("number"), fc.constantFrom("[1, 2, 3]", "[1.5, 2]", "event.l")).map(([a, b]) => `(${a} in ${b})`),
      fc.tuple(tie("text"), fc.constantFrom('["a", "b"]', "event.o", "event.l")).map(([a, b]) => `(${a} in ${b})`),
      fc
        .tuple(tie("list"), fc.constantFrom("all", "exists", "exists_one"), tie("condition"))
        .map(([a, f, c]) => `${a}.${f}(i, i == event.n || ${c})`),
      fc.tuple(tie("condition"), tie("condition"), tie("condition")).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc.constantFrom(
        'timestamp(event.d) < timestamp("2001-03-01T00:00:00Z")',
        'timestamp(event.d) + duration("1h") > timestamp("2001-03-01T00:00:00Z")',
        "timestamp(event.d) == timestamp(event.d)",
        'event.d >= "2001-03"',
        'event.d == "2001-03-01T00:00:00.000Z" || event.d < "1969-12-31T23"',
        'event.d != "2001-07-04T05:06:07.008Z" && event.d <= "2001-03-01T00:00:00.000Z"',
        'event.d > "zebra"',
        "event.l == [1, 2]",
        'event.o == {"x": 1}',
        "type(event.n) == double",
        "event.o.exists(k, k == 'x')",
      ),
    ),
    number: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(
        "event.n",
        "event.m",
        "event.o.x",
        'event["n"]',
        "1",
        "15",
        "-3",
        "2.5",
        "0",
        "event.z",
        "event.o.y",
        "event.l[0]",
        "event.s",
      ),
      fc
        .tuple(tie("number"), fc.constantFrom("+", "-", "*", "/", "%"), tie("number"))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie("number").map((a) => `-(${a})`),
      tie("number").map((a) => `int(${a})`),
      tie("number").map((a) => `double(${a})`),
      fc.constantFrom(
        "size(event.s)",
        "size(event.l)",
        "event.t.size()",
        "timestamp(event.d).getHours()",
        "timestamp(event.d).getDayOfWeek()",
      ),
      fc.constantFrom("timestamp(event.d).getMonth()", "event.s.indexOf('a')", "cel.bind(q, event.n, q * q)"),
    ),
    text: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom("event.s", "event.t", "event.o.y", '"a"', '"bc"', '""', "event.d", "event.z", "event.n"),
      fc.tuple(tie("text"), tie("text")).map(([a, b]) => `(${a} + ${b})`),
      tie("text").map((a) => `${a}.upperAscii()`),
      tie("text").map((a) => `string(${a})`),
    ),
    list: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom("event.l", "[event.n, event.m, 1]", "[]", "event.o", "[event.s, event.t]"),
      fc.tuple(tie("list"), tie("condition")).map(([a, c]) => `${a}.filter(i, ${c})`),
      fc.tuple(tie("list"), tie("number")).map(([a, c]) => `${a}.map(i, ${c})`),
      fc.tuple(tie("number"), tie("text")).map(([a, b]) => `[{"k": ${a}, "v": ${b}}]`),
    ),
  }),
);

const number = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constantFrom(0, 1, 2, 15, 2.5, -0.5, 1e300, 2 ** 53));
const text = fc.constantFrom("a", "b", "bc", "aab", "", "x", "é😀");
const time = fc.constantFrom(
  "2001-01-31T23:59:59.999Z",
  "2001-03-01T00:00:00.000Z",
  "1969-12-31T23:00:00.000Z",
  "2001-07-04T05:06:07.008Z",
);
const odd = fc.constantFrom<Json>(null, true, "15", 7, [1], { x: 1 });
const mostly = <T extends Json>(values: fc.Arbitrary<T>): fc.Arbitrary<Json> =>
  fc.oneof({ weight: 12, arbitrary: values }, odd);

const message = fc.record(
  {
    n: mostly(number),
    m: mostly(number),
    s: mostly(text),
    t: mostly(text),
    b: mostly(fc.boolean()),
    l: mostly(fc.array(fc.oneof(number, text), { maxLength: 3 })),
    o: mostly(fc.record({ x: mostly(number), y: mostly(text) }, { requiredKeys: [] })),
    d: mostly(time),
    z: odd,
  },
  { requiredKeys: ["n", "s"] },
);

const FAILED = Symbol("failed");

/** What the library itself makes of it. */
function reference(source: string): (event: Json) => Json | typeof FAILED {
  const run = cel.parse(source);
  return (event) => {
    try {
      return toJson(run({ event }), 0);
    } catch {
      return FAILED;
    }
  };
}

function compiled(expression: Expression): (event: Json) => Json | typeof FAILED {
  return (event) => {
    try {
      return expression.row(event);
    } catch (thrown) {
      if (thrown instanceof MillraceError && thrown.code === "EXPR-FAILED") return FAILED;
      throw thrown;
    }
  };
}

/** `undefined` when the dialect refuses the random text, as type checking and folding of constants do. */
function tryCompile(source: string): Expression | undefined {
  try {
    return compileExpression(source);
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === "EXPR-INVALID") return undefined;
    throw thrown;
  }
}

/** Columns of mixed physical kinds for the messages: the kind follows from the values and from `shape`. */
function columnsOf(rows: readonly Readonly<Record<string, Json>>[], shape: number): Map<string, Column> {
  const columns = new Map<string, Column>();
  for (const name of new Set(rows.flatMap((row) => Object.keys(row)))) {
    columns.set(
      name,
      columnFor(
        name,
        rows.map((row) => row[name] ?? null),
        shape,
      ),
    );
  }
  return columns;
}

function columnFor(name: string, values: readonly Json[], shape: number): Column {
  const nulls = values.includes(null) ? Uint8Array.from(values, (v) => (v === null ? 1 : 0)) : null;
  const plain = (type: string): boolean => values.every((v) => v === null || typeof v === type);
  if (shape === 0) return { type: "json", values };
  if (name === "d" && plain("string") && values.every((v) => v === null || /Z$/.test(String(v)))) {
    return { type: "time", nulls, values: Float64Array.from(values, (v) => (v === null ? 0 : Date.parse(String(v)))) };
  }
  if (shape === 1 && plain("number")) {
    const whole = values.every(
      (v) => v === null || (Number.isInteger(v) && Math.abs(Number(v)) < 2 ** 31 && !Object.is(v, -0)),
    );
    const numbers = values.map((v) => Number(v ?? 0));
    return { type: "number", nulls, values: whole ? Int32Array.from(numbers) : Float64Array.from(numbers) };
  }
  if (shape === 1 && plain("boolean"))
    return { type: "boolean", nulls, values: Uint8Array.from(values, (v) => (v === true ? 1 : 0)) };
  const dictionary = new Dictionary();
  return { type: "dictionary", nulls, dictionary, codes: Uint32Array.from(values, (v) => dictionary.code(v)) };
}

const shapes = fc.constantFrom(0, 1, 2);

describe("a compiled expression", () => {
  test("gives for one message what the library's evaluator gives", () => {
    let compared = 0;
    fc.assert(
      fc.property(expression, fc.array(message, { minLength: 1, maxLength: 6 }), (source, events) => {
        const mine = tryCompile(source);
        if (mine === undefined) return;
        const theirs = reference(source);
        for (const event of events) {
          expect(compiled(mine)(event)).toEqual(theirs(event));
          compared++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(compared).toBeGreaterThan(2000);
  });

  test("selects the same messages from columns as message by message", () => {
    fc.assert(
      fc.property(
        expression,
        fc.array(message, { minLength: 1, maxLength: 12 }),
        shapes,
        fc.nat(),
        (source, events, shape, seed) => {
          const mine = tryCompile(source);
          if (mine === undefined) return;
          const all = new ColumnBatch(columnsOf(events, shape), null, events.length);
          const some = all.select(Uint32Array.from(events.keys()).filter((i) => ((seed >> (i % 16)) & 1) === 0));
          for (const batch of [all, some]) {
            const rows = batch.rows().map(compiled(mine));
            const { selected, failures } = mine.predicate(batch);
            expect([...selected]).toEqual(rows.flatMap((r, i) => (r === true ? [i] : [])));
            expect(failures.map((f) => f.index)).toEqual(rows.flatMap((r, i) => (typeof r === "boolean" ? [] : [i])));
            expect(mine.predicate(new RowBatch(batch.rows()))).toEqual({ selected, failures });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("computes the same values from columns as message by message", () => {
    fc.assert(
      fc.property(
        expression,
        fc.array(message, { minLength: 1, maxLength: 12 }),
        shapes,
        fc.nat(),
        (source, events, shape, seed) => {
          const mine = tryCompile(source);
          if (mine === undefined) return;
          const all = new ColumnBatch(columnsOf(events, shape), null, events.length);
          const some = all.select(Uint32Array.from(events.keys()).filter((i) => ((seed >> (i % 16)) & 1) === 0));
          for (const batch of [all, some]) {
            const rows = batch.rows().map(compiled(mine));
            const { column, failures } = mine.column(batch);
            const failed = new Set(failures.map((f) => f.index));
            expect(Array.from(rows, (_, i) => (failed.has(i) ? FAILED : cell(column, batch.at(i))))).toEqual(rows);
            const byRows = mine.column(new RowBatch(batch.rows()));
            expect(byRows.failures).toEqual(failures);
            expect(Array.from(rows, (_, i) => (failed.has(i) ? FAILED : cell(byRows.column, i)))).toEqual(rows);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
