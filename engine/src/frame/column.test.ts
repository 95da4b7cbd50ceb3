import { describe, expect, it } from "vitest";
import { cell, Dictionary } from "./column.ts";

describe("a dictionary", () => {
  it("gives equal scalars one code and different ones codes of their own", () => {
    const dictionary = new Dictionary();
    const values = ["a", "b", "", null, true, false, 0, 1, "1", "null"];
    const codes = values.map((value) => dictionary.code(value));
    expect(new Set(codes).size).toBe(values.length);
    expect(values.map((value) => dictionary.code(value))).toEqual(codes);
    expect(dictionary.values).toEqual(values);
  });

  it("tells 0 and -0 apart, so that a cell reads as what was put in", () => {
    const dictionary = new Dictionary();
    expect(dictionary.values[dictionary.code(0)]).toBe(0);
    expect(dictionary.values[dictionary.code(-0)]).toBe(-0);
    expect(dictionary.code(-0)).toBe(dictionary.code(-0));
  });

  it("does not find objects again", () => {
    const dictionary = new Dictionary();
    expect(dictionary.code({ a: 1 })).not.toBe(dictionary.code({ a: 1 }));
  });
});

describe("a cell", () => {
  it("is null where the column says so, whatever value lies there", () => {
    const nulls = Uint8Array.of(0, 1);
    const dictionary = new Dictionary();
    const codes = Uint32Array.of(dictionary.code("x"), 99);
    expect(cell({ type: "number", values: Float64Array.of(7, 7), nulls }, 1)).toBeNull();
    expect(cell({ type: "dictionary", codes, dictionary, nulls }, 0)).toBe("x");
    expect(cell({ type: "dictionary", codes, dictionary, nulls }, 1)).toBeNull();
  });

  it("of a time reads as ISO 8601, and as null when no date can say it", () => {
    const column = { type: "time", values: Float64Array.of(0, 1e300, Number.NaN), nulls: null } as const;
    expect([0, 1, 2].map((i) => cell(column, i))).toEqual(["1970-01-01T00:00:00.000Z", null, null]);
  });

  it("of a boolean column is true only for 1", () => {
    const column = { type: "boolean", values: Uint8Array.of(0, 1), nulls: null } as const;
    expect([cell(column, 0), cell(column, 1)]).toEqual([false, true]);
  });
});
