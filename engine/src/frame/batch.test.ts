import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Batch, ColumnBatch, EMPTY_BATCH, RowBatch } from "./batch.ts";
import type { Column } from "./column.ts";
import { Dictionary } from "./column.ts";
import type { Json } from "./json.ts";

const N = 24;

function columnBatch(): ColumnBatch {
  const dictionary = new Dictionary();
  const columns = new Map<string, Column>([
    ["id", { type: "number", values: Int32Array.from({ length: N }, (_, i) => i), nulls: null }],
    [
      "city",
      {
        type: "dictionary",
        dictionary,
        codes: Uint32Array.from({ length: N }, (_, i) => dictionary.code(`city ${i % 5}`)),
        nulls: Uint8Array.from({ length: N }, (_, i) => (i % 7 === 0 ? 1 : 0)),
      },
    ],
    ["at", { type: "time", values: Float64Array.from({ length: N }, (_, i) => i * 1000), nulls: null }],
  ]);
  return new ColumnBatch(columns, null, N);
}

const steps = fc.array(
  fc.oneof(
    fc.record({ keep: fc.array(fc.boolean(), { minLength: N, maxLength: N }) }),
    fc.record({ start: fc.nat(N), length: fc.nat(N) }),
  ),
  { maxLength: 5 },
);

function runSteps(
  batch: Batch,
  model: readonly Json[],
  script: readonly (typeof steps extends fc.Arbitrary<infer S> ? S : never)[number][],
): [Batch, readonly Json[]] {
  let actual = batch;
  let expected = model;
  for (const step of script) {
    if ("keep" in step) {
      const kept = expected.map((_, i) => i).filter((i) => step.keep[i]);
      actual = actual.select(Uint32Array.from(kept));
      expected = kept.map((i) => expected[i] as Json);
    } else {
      const start = Math.min(step.start, expected.length);
      const end = Math.min(start + step.length, expected.length);
      actual = actual.slice(start, end);
      expected = expected.slice(start, end);
    }
  }
  return [actual, expected];
}

describe.each<[string, () => Batch]>([
  ["a batch of rows", () => new RowBatch(columnBatch().rows())],
  ["a batch of columns", columnBatch],
])("%s", (_name, make) => {
  it("holds the messages that any sequence of selections and slices leaves", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const [actual, expected] = runSteps(make(), columnBatch().rows(), script);
        expect(actual.n).toBe(expected.length);
        expect(Array.from({ length: actual.n }, (_, i) => actual.row(i))).toEqual(expected);
        expect(actual.rows()).toEqual(expected);
      }),
    );
  });

  it("does not change when something is selected from it", () => {
    const batch = make();
    const before = structuredClone(batch.rows());
    batch.select(Uint32Array.of(3, 4)).slice(1, 2);
    expect(batch.rows()).toEqual(before);
  });
});

describe("a batch of columns", () => {
  it("gets a column more, or another in the place of one, for its own messages", () => {
    fc.assert(
      fc.property(steps, fc.constantFrom("id", "extra"), (script, name) => {
        const doubled: Column = {
          type: "number",
          values: Float64Array.from({ length: N }, (_, i) => i * 2),
          nulls: null,
        };
        const [actual, expected] = runSteps(columnBatch(), columnBatch().rows(), script);
        const rows = (actual as ColumnBatch).with(name, doubled).rows();
        expect(rows).toEqual(
          expected.map((row) => {
            const object = row as { id: number };
            return { ...object, [name]: object.id * 2 };
          }),
        );
      }),
    );
  });

  it("keeps the order of its fields in every row", () => {
    expect(Object.keys(columnBatch().row(2) as object)).toEqual(["id", "city", "at"]);
  });

  it("gives rows of their own to a batch that was derived after they were made", () => {
    const batch = columnBatch();
    batch.rows();
    expect(batch.select(Uint32Array.of(5)).row(0)).toEqual({ id: 5, city: "city 0", at: "1970-01-01T00:00:05.000Z" });
  });

  it("is a field of its own even when it is called __proto__", () => {
    const column: Column = { type: "json", values: [{ admin: true }] };
    const batch = new ColumnBatch(new Map([["__proto__", column]]), null, 1);
    for (const row of [batch.row(0), ...batch.rows()] as Record<string, Json>[]) {
      expect(row.admin).toBeUndefined();
      expect(JSON.stringify(row)).toBe('{"__proto__":{"admin":true}}');
    }
  });
});

describe("the empty batch", () => {
  it("has no messages", () => {
    expect(EMPTY_BATCH.n).toBe(0);
    expect(EMPTY_BATCH.rows()).toEqual([]);
  });
});
