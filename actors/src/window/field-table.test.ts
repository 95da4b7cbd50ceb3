import { type Column, Dictionary, type Json } from "@millrace/engine";
import { expect, test } from "vitest";
import { FieldTable } from "./field-table.ts";

/** Every code of the dictionary once. */
function columnOf(dictionary: Dictionary): Column {
  return { type: "dictionary", codes: Uint32Array.from(dictionary.values.keys()), dictionary, nulls: null };
}

function dictionaryOf(n: number, prefix: string): Dictionary {
  const dictionary = new Dictionary();
  for (let i = 0; i < n; i++) dictionary.code(`${prefix}${i}`);
  return dictionary;
}

test("what no message has is not numbered, however many values a dictionary holds", () => {
  const table = new FieldTable();
  const found: Json[] = [];
  for (const source of ["a", "b", "c"]) {
    const column = columnOf(dictionaryOf(65_536, source));
    const [id] = table.ids(column, Uint32Array.of(40_000), 1);
    found.push(table.values[id as number] as Json);
    table.ids(column, Uint32Array.of(40_000), 1);
  }
  expect(found).toEqual(["a40000", "b40000", "c40000"]);
  expect(table.values).toEqual(found);
});

test("a dictionary that grows keeps the numbers of what it held before", () => {
  const table = new FieldTable();
  const dictionary = dictionaryOf(3, "v");
  const before = table.ids(columnOf(dictionary), null, 3);
  for (let size = 4; size < 40; size++) {
    dictionary.code(`v${size - 1}`);
    const ids = table.ids(columnOf(dictionary), Uint32Array.of(2, size - 1, 0), 3);
    expect([ids[0], ids[2]]).toEqual([before[2], before[0]]);
    expect(table.values[ids[1] as number]).toBe(`v${size - 1}`);
  }
});
