import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arbitraryJson, arbitraryTable } from "../testing/arbitrary-json.ts";
import { RowBatch } from "./batch.ts";
import { columnsOf } from "./columns-of.ts";
import type { Json } from "./json.ts";

const eight = (row: (i: number) => Json): RowBatch => new RowBatch(Array.from({ length: 8 }, (_, i) => row(i)));

describe("rows as columns", () => {
  it("are the same rows", () => {
    fc.assert(
      fc.property(arbitraryTable(), (rows) => {
        const columns = columnsOf(new RowBatch(rows));
        if (columns !== undefined) expect(columns.rows()).toStrictEqual(rows);
        else expect(rows.length).toBeLessThan(8);
      }),
      { numRuns: 300 },
    );
  });

  it("keep the order of fields", () => {
    const columns = columnsOf(eight((i) => ({ z: i, a: "x" })));
    expect(Object.keys(columns?.row(0) as object)).toEqual(["z", "a"]);
  });

  it("are refused, or the same rows, whatever the rows are", () => {
    fc.assert(
      fc.property(fc.array(arbitraryJson(), { maxLength: 20 }), (rows) => {
        const columns = columnsOf(new RowBatch(rows));
        if (columns !== undefined) expect(columns.rows()).toStrictEqual(rows);
      }),
    );
  });

  it("are refused for rows of different shapes, of no field, and for few rows", () => {
    expect(columnsOf(eight((i) => (i === 5 ? { b: 1 } : { a: 1 })))).toBeUndefined();
    expect(columnsOf(eight((i) => (i === 5 ? { a: 1, b: 1 } : { a: 1 })))).toBeUndefined();
    expect(columnsOf(eight((i) => (i === 5 ? { b: 1, a: 1 } : { a: 1, b: 1 })))).toBeUndefined();
    expect(columnsOf(eight(() => ({})))).toBeUndefined();
    expect(columnsOf(new RowBatch([{ a: 1 }]))).toBeUndefined();
  });

  it.each<[string, (i: number) => Json, string]>([
    ["whole numbers", (i) => i, "number"],
    ["a fraction among them", (i) => (i === 3 ? 0.5 : i), "number"],
    ["numbers and nulls", (i) => (i === 3 ? null : i), "number"],
    ["booleans", (i) => i % 2 === 0, "boolean"],
    ["strings that repeat", (i) => `s${i % 2}`, "dictionary"],
    ["strings that do not repeat", (i) => `s${i}`, "json"],
    ["objects", (i) => ({ i }), "json"],
    ["a number among strings", (i) => (i === 3 ? 3 : "s"), "json"],
  ])("hold %s in a column of their own form", (_name, value, type) => {
    expect(columnsOf(eight((i) => ({ v: value(i) })))?.columns.get("v")?.type).toBe(type);
  });

  it("of nulls only stay nulls", () => {
    expect(columnsOf(eight(() => ({ v: null })))?.rows()).toEqual(eight(() => ({ v: null })).rows());
  });

  it("tell -0 from 0", () => {
    const rows = columnsOf(eight((i) => ({ v: i % 2 === 0 ? 0 : -0 })))?.rows() as { v: number }[];
    expect(rows.map((row) => Object.is(row.v, -0))).toEqual([false, true, false, true, false, true, false, true]);
  });
});
