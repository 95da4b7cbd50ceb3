import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packState, unpackState } from "../log/packed-payload.ts";
import { arbitraryJson, arbitraryTable } from "../testing/arbitrary-json.ts";
import { type Batch, ColumnBatch, RowBatch } from "./batch.ts";
import { decodeBatch, encodeBatch } from "./batch-codec.ts";
import type { Column } from "./column.ts";
import { Dictionary } from "./column.ts";
import type { Json } from "./json.ts";

/** Through the bytes of the log. msgpack has no -0, nor has JSON text. */
function stored(batch: Batch): Batch {
  return decodeBatch(unpackState(packState(encodeBatch(batch))));
}

function asJson(rows: readonly Json[]): string {
  return JSON.stringify(rows);
}

describe("a batch as bytes", () => {
  it("gives the same rows back, whatever they are", () => {
    fc.assert(
      fc.property(fc.array(arbitraryJson(), { maxLength: 20 }), (rows) => {
        expect(asJson(stored(new RowBatch(rows)).rows())).toBe(asJson(rows));
      }),
    );
  });

  it("gives tables back from columns", () => {
    fc.assert(
      fc.property(arbitraryTable(), (rows) => {
        expect(asJson(stored(new RowBatch(rows)).rows())).toBe(asJson(rows));
      }),
      { numRuns: 300 },
    );
  });

  it("holds only what a selection left", () => {
    fc.assert(
      fc.property(arbitraryTable(), fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (rows, keep) => {
        const kept = rows.map((_, i) => i).filter((i) => keep[i]);
        const selected = stored(stored(new RowBatch(rows)).select(Uint32Array.from(kept)));
        expect(asJson(selected.rows())).toBe(asJson(kept.map((i) => rows[i] as Json)));
      }),
    );
  });

  it("keeps numbers to the bit in number columns", () => {
    const values = [0, -0, 0.1, 1e308, -5e-324, 2 ** 53, 1, 2, 3];
    const rows = stored(new RowBatch(values.map((v) => ({ v })))).rows() as { v: number }[];
    expect(rows.map((row) => row.v)).toStrictEqual(values);
  });

  it("keeps columns of every form, nulls and a field called __proto__", () => {
    const dictionary = new Dictionary();
    for (let i = 0; i < 300; i++) dictionary.code(`entry ${i}`);
    const nulls = Uint8Array.of(0, 0, 1);
    const columns = new Map<string, Column>([
      ["f64", { type: "number", values: Float64Array.of(0.5, -1, 9), nulls }],
      ["i32", { type: "number", values: Int32Array.of(-1, 2, 9), nulls: null }],
      ["bool", { type: "boolean", values: Uint8Array.of(1, 0, 9), nulls }],
      ["time", { type: "time", values: Float64Array.of(0, 1, 2), nulls: null }],
      ["dict", { type: "dictionary", codes: Uint16Array.of(299, 0, 77), dictionary, nulls }],
      ["json", { type: "json", values: [{ a: [1] }, null, "x"] }],
      ["__proto__", { type: "json", values: [1, 2, 3] }],
    ]);
    const batch = new ColumnBatch(columns, null, 3);
    const back = stored(batch);
    expect(back.kind).toBe("columns");
    expect(JSON.stringify(back.rows())).toBe(JSON.stringify(batch.rows()));
  });

  it.each([256, 257, 65_537])("keeps a dictionary of %i entries", (entries) => {
    const dictionary = new Dictionary();
    const codes = Uint32Array.from({ length: entries }, (_, i) => dictionary.code(`entry ${i}`));
    const batch = new ColumnBatch(
      new Map([["d", { type: "dictionary", codes, dictionary, nulls: null }]]),
      null,
      entries,
    );
    const rows = stored(batch).rows() as { d: string }[];
    expect(rows.every((row, i) => row.d === `entry ${i}`)).toBe(true);
  });

  it("writes only the entries of a dictionary that it uses", () => {
    const dictionary = new Dictionary();
    for (let i = 0; i < 10_000; i++) dictionary.code(`entry ${i}`);
    const unused = dictionary.code("x".repeat(1000));
    const nulls = Uint8Array.of(0, 1);
    const column: Column = { type: "dictionary", codes: Uint32Array.of(9999, unused), dictionary, nulls };
    expect(packState(encodeBatch(new ColumnBatch(new Map([["d", column]]), null, 2))).length).toBeLessThan(100);
  });

  it("is refused when it is not one", () => {
    expect(() => decodeBatch("rubbish")).toThrow(TypeError);
    expect(() => decodeBatch([7, []])).toThrow("unknown batch form 7");
    expect(() => decodeBatch([1, 1, [["x", 99, null]]])).toThrow("unknown column kind 99");
  });
});
