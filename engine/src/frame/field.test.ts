import { describe, expect, it } from "vitest";
import { fieldOf, setField } from "./field.ts";
import type { Json } from "./json.ts";

const NAMES = [...Object.getOwnPropertyNames(Object.prototype), "a"];

describe("fields by name", () => {
  it.each(NAMES)("%s is none of a row that lacks it, and is what was set of one that has it", (name) => {
    const row: Record<string, Json> = {};
    expect(fieldOf(row, name)).toBeUndefined();
    setField(row, name, { x: 1 });
    expect(fieldOf(row, name)).toEqual({ x: 1 });
    expect(Object.entries(row)).toEqual([[name, { x: 1 }]]);
    setField(row, name, null);
    expect(fieldOf(row, name)).toBeNull();
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  });

  it.each([undefined, null, 1, "text", [1]])("of %j are none", (value) => {
    expect(fieldOf(value as Json, "length")).toBeUndefined();
    expect(fieldOf(value as Json, "0")).toBeUndefined();
  });
});
