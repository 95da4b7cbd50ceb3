import { type Column, Dictionary, type Json } from "@millrace/engine";
import { expect, test } from "vitest";
import { eventTimeOf, eventTimesOf } from "./event-time.ts";

test("a time is ISO 8601 text, or milliseconds", () => {
  const noon = Date.UTC(2001, 0, 2, 12);
  expect([eventTimeOf("2001-01-02 12:00"), eventTimeOf(noon)]).toEqual([noon, noon]);
});

test("what is no time is none, instead of a guess", () => {
  for (const value of [null, true, "", "soon", "2001/01/02", "2001-13-01", "12", {}, [], Number.NaN]) {
    expect([value, eventTimeOf(value as Json)]).toEqual([value, Number.NaN]);
  }
});

test("a dictionary that grows between frames is read to its new end", () => {
  const dictionary = new Dictionary();
  const column = (...texts: readonly string[]): Column => ({
    type: "dictionary",
    codes: Uint32Array.from(texts, (text) => dictionary.code(text)),
    dictionary,
    nulls: null,
  });
  expect([...eventTimesOf(column("1970-01-01", "late"), () => 2)]).toEqual([0, Number.NaN]);
  expect([...eventTimesOf(column("1970-01-02", "1970-01-01", "late"), () => 3)]).toEqual([86_400_000, 0, Number.NaN]);
});
