import { type Column, Dictionary, type Json } from "@millrace/engine";
import { expect, test } from "vitest";
import { eventTimeOf, eventTimesOf } from "./event-time.ts";

test("text without a zone is UTC, whatever the machine's own zone is", () => {
  const noon = Date.UTC(2001, 0, 2, 12);
  for (const text of [
    "2001-01-02T12:00",
    "2001-01-02 12:00:00",
    "2001-01-02T12:00:00.000Z",
    "2001-01-02T14:00:00+02:00",
    "2001-01-02T12:00:00.0000001",
  ]) {
    expect([text, eventTimeOf(text)]).toEqual([text, noon]);
  }
  expect(eventTimeOf("2001-01-02")).toBe(Date.UTC(2001, 0, 2));
  expect(eventTimeOf(noon)).toBe(noon);
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
