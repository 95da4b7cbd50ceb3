/** The loops over typed arrays against the row form, for every length that a turn of theirs can leave over. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ColumnBatch, RowBatch } from "../frame/batch.ts";
import { type Column, Dictionary } from "../frame/column.ts";
import { compileExpression } from "./expression.ts";

const OPERATORS = ["<", "<=", ">", ">=", "==", "!="] as const;
const LIMITS = ["0", "-0.0", "15", "2.5", "-3", "5e-324", "9007199254740992", "9007199254740993", "-1e300"] as const;
const DOUBLES = [0, -0, 15, 2.5, -3, 5e-324, -5e-324, 2 ** 53, -(2 ** 53), 1e300, Number.NaN, 1 / 0, -1 / 0];
const TEXTS = ["ATL", "", "é", "é", "\ud800", "\udc00", "😀", "x".repeat(5000)];

const operator = fc.constantFrom(...OPERATORS);
/** Over i (ints), f (doubles), g (doubles with nulls), s (strings), u (strings with nulls), b (bools). */
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small" },
    fc
      .tuple(fc.constantFrom("i", "f", "g"), operator, fc.constantFrom(...LIMITS))
      .map(([field, op, limit]) => `event.${field} ${op} ${limit}`),
    fc
      .tuple(fc.constantFrom(...LIMITS), operator, fc.constantFrom("i", "f", "g"))
      .map(([limit, op, field]) => `${limit} ${op} event.${field}`),
    fc.tuple(operator).map(([op]) => `event.i ${op} event.f`),
    fc.tuple(operator).map(([op]) => `event.f ${op} event.g`),
    fc.constantFrom(
      "event.s == 'ATL'",
      "event.s != ''",
      "event.u == 'ATL'",
      "event.u == 'é'",
      "event.s < '\\ue000'",
      "event.s < 3",
    ),
    fc.constantFrom("event.b", "event.b == true", "event.i in [15, -3]", "event.g == null", "event.f + 1 > 15"),
    fc
      .tuple(tie("condition"), fc.constantFrom("&&", "||"), tie("condition"))
      .map(([a, op, b]) => `(${a}) ${op} (${b})`),
    tie("condition").map((a) => `!(${a})`),
  ),
}));

const row = fc.record({
  i: fc.constantFrom(0, 15, 14, 16, -3, 2 ** 31 - 1, -(2 ** 31)),
  f: fc.oneof(fc.constantFrom(...DOUBLES), fc.double()),
  g: fc.oneof(fc.constantFrom(...DOUBLES, null), fc.constant(null)),
  s: fc.constantFrom(...TEXTS),
  u: fc.constantFrom(...TEXTS, null),
  b: fc.boolean(),
  isSelected: fc.boolean(),
});

type Row = typeof row extends fc.Arbitrary<infer R> ? R : never;

function columnsOf(rows: readonly Row[]): Map<string, Column> {
  const nullsOf = (cells: readonly unknown[]): Uint8Array => Uint8Array.from(cells, (c) => (c === null ? 1 : 0));
  const texts = (cells: readonly (string | null)[], nulls: Uint8Array | null): Column => {
    const dictionary = new Dictionary();
    return {
      type: "dictionary",
      codes: Uint32Array.from(cells, (c) => dictionary.code(c ?? "ATL")),
      dictionary,
      nulls,
    };
  };
  const g = rows.map((r) => r.g);
  const u = rows.map((r) => r.u);
  return new Map<string, Column>([
    ["i", { type: "number", values: Int32Array.from(rows, (r) => r.i), nulls: null }],
    ["f", { type: "number", values: Float64Array.from(rows, (r) => r.f), nulls: null }],
    ["g", { type: "number", values: Float64Array.from(g, (c) => c ?? 15), nulls: nullsOf(g) }],
    [
      "s",
      texts(
        rows.map((r) => r.s),
        null,
      ),
    ],
    ["u", texts(u, nullsOf(u))],
    ["b", { type: "boolean", values: Uint8Array.from(rows, (r) => Number(r.b)), nulls: null }],
  ]);
}

test("conditions select from typed columns what they select from rows", () => {
  const sizes = new Set<number>();
  let passed = 0;
  fc.assert(
    fc.property(condition, fc.array(fc.array(row, { maxLength: 25 }), { maxLength: 3 }), (source, frames) => {
      const where = compileExpression(source);
      const kept: { selected: Uint32Array; expected: readonly number[] }[] = [];
      for (const rows of frames) {
        const all = new ColumnBatch(columnsOf(rows), null, rows.length);
        const some = all.select(Uint32Array.from(rows.keys()).filter((i) => rows[i]?.isSelected === true));
        for (const batch of [all, some]) {
          const { selected, failures } = where.predicate(batch);
          const expected = where.predicate(new RowBatch(batch.rows()));
          expect(failures).toEqual(expected.failures);
          kept.push({ selected, expected: [...expected.selected] });
          sizes.add(batch.n);
          passed += selected.length;
        }
      }
      // Selections of one arena: a later one leaves an earlier one as it was.
      for (const { selected, expected } of kept) expect([...selected]).toEqual(expected);
    }),
    { numRuns: 800 },
  );
  expect(sizes.size).toBeGreaterThanOrEqual(9);
  expect(passed).toBeGreaterThan(800);
});
