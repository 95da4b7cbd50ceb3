import {
  type Batch,
  type Column,
  ColumnBatch,
  compileExpression,
  Dictionary,
  type Json,
  type JsonObject,
  type PureBehavior,
  RowBatch,
  reportOf,
} from "@millrace/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import { enrich } from "./enrich.ts";
import { filter } from "./filter.ts";
import { map } from "./map.ts";
import { merge } from "./merge.ts";
import { switchTo } from "./switch.ts";

interface Outcome {
  readonly outputs: readonly { readonly rows: readonly Json[]; readonly sources: readonly number[] }[];
  readonly failures: readonly (readonly [number, string])[];
}

function run(behavior: PureBehavior, batch: Batch): Outcome {
  const { outputs, failures } = behavior.transform(batch);
  return {
    outputs: outputs.map(({ batch: out, sources }) => ({
      rows: out.rows(),
      sources: [...(sources ?? Uint32Array.from({ length: out.n }, (_, i) => i))],
    })),
    failures: failures.map(({ index, error }) => [index, reportOf(error).code]),
  };
}

const x = compileExpression;

/** The same messages as columns, behind a selection of every second physical row. */
function columnsOf(rows: readonly JsonObject[], dictionary = new Dictionary()): ColumnBatch {
  const names = ["n", "key"];
  const columns = new Map<string, Column>();
  const physical = (i: number): number => 2 * i + 1;
  for (const name of names) {
    if (name === "key") {
      const codes = new Uint32Array(rows.length * 2);
      const nulls = new Uint8Array(rows.length * 2);
      for (const [i, row] of rows.entries()) {
        if (row.key === null) nulls[physical(i)] = 1;
        else codes[physical(i)] = dictionary.code(row.key as Json);
      }
      columns.set(name, { type: "dictionary", codes, dictionary, nulls: nulls.includes(1) ? nulls : null });
    } else {
      const values = new Array<Json>(rows.length * 2).fill(null);
      for (const [i, row] of rows.entries()) values[physical(i)] = row[name] as Json;
      columns.set(name, { type: "json", values });
    }
  }
  return new ColumnBatch(
    columns,
    Uint32Array.from(rows, (_, i) => physical(i)),
    rows.length,
  );
}

const rowsArb = fc.array(
  fc.record({
    n: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant("odd"), fc.constant(null)),
    key: fc.constantFrom("a", "b", "c", null),
  }),
  { maxLength: 20 },
);
const table = new Map<Json, Json>([
  ["a", { name: "Alpha" }],
  ["b", { name: "Beta" }],
]);

const behaviors: Record<string, () => PureBehavior> = {
  filter: () => filter({ where: x("event.n >= 5") }),
  "map set": () =>
    map({
      set: new Map([
        ["twice", x("event.n * 2")],
        ["n", x("event.key")],
      ]),
    }),
  "map select and drop": () =>
    map({ set: new Map([["twice", x("event.n * 2")]]), select: ["key", "twice", "absent"], drop: ["key"] }),
  "map value": () => map({ value: x("event.n + 1") }),
  enrich: () => enrich({ table, key: x("event.key"), as: "info" }),
  "required enrich": () => enrich({ table, key: x("event.key"), as: "info", required: true }),
  switch: () =>
    switchTo({
      cases: [
        { port: "big", when: x("event.n > 6") },
        { port: "a", when: x("event.key == 'a'") },
      ],
      otherwise: "rest",
    }),
  merge,
};

for (const [name, make] of Object.entries(behaviors)) {
  test(`${name} does the same to columns as to rows, and every message goes to one place`, () => {
    const [byRows, byColumns, dictionary] = [make(), make(), new Dictionary()];
    fc.assert(
      fc.property(rowsArb, (rows) => {
        const expected = run(byRows, new RowBatch(rows));
        expect(run(byColumns, columnsOf(rows, dictionary))).toEqual(expected);
        const places = [
          ...expected.outputs.flatMap((output) => output.sources),
          ...expected.failures.map(([index]) => index),
        ];
        expect(new Set(places).size).toBe(places.length);
        if (name !== "filter") expect(places.length).toBe(rows.length);
      }),
      { numRuns: 100 },
    );
  });

  test(`${name} as a function of one row agrees with its batch form`, () => {
    const behavior = make();
    const { row: one } = behavior;
    if (one === undefined) return;
    fc.assert(
      fc.property(rowsArb, (rows) => {
        const whole = run(behavior, new RowBatch(rows));
        const single = (row: Json): Json | undefined => {
          try {
            return one(row);
          } catch {
            return undefined;
          }
        };
        expect(rows.map(single).filter((row) => row !== undefined)).toEqual(whole.outputs[0]?.rows);
      }),
    );
  });
}

test("enrich over a dictionary shares the key's codes instead of making new ones", () => {
  const batch = columnsOf([
    { n: 1, key: "a" },
    { n: 2, key: "c" },
  ]);
  const out = enrich({ table, key: x("event.key"), as: "info" }).transform(batch).outputs[0]?.batch as ColumnBatch;
  const [key, info] = [out.columns.get("key"), out.columns.get("info")];
  expect(info?.type === "dictionary" && key?.type === "dictionary" && info.codes === key.codes).toBe(true);
  expect(out.row(1)).toEqual({ n: 2, key: "c", info: null });
});

test("a message of the wrong kind is rejected with a code that says why", () => {
  const codes = (behavior: PureBehavior): readonly string[] =>
    run(behavior, new RowBatch([{ key: "c" }, 7])).failures.map(([, code]) => code);
  expect(codes(enrich({ table, key: x("'a'"), as: "info" }))).toEqual(["EXPR-RESULT"]);
  expect(codes(enrich({ table, key: x("'z'"), as: "info", required: true }))).toEqual([
    "ENRICH-MISSING",
    "ENRICH-MISSING",
  ]);
  expect(codes(map({ drop: ["key"] }))).toEqual(["EXPR-RESULT"]);
  expect(codes(switchTo({ cases: [{ port: "a", when: x("event == 7") }] }))).toEqual(["SWITCH-UNMATCHED"]);
});

test("a case that fails on a message does not take it from an earlier case", () => {
  const behavior = switchTo({
    cases: [
      { port: "any", when: x("true") },
      { port: "never", when: x("event.absent.field == 1") },
    ],
  });
  expect(run(behavior, new RowBatch([{ n: 1 }]))).toMatchObject({
    outputs: [{ rows: [{ n: 1 }] }, { rows: [] }],
    failures: [],
  });
});
