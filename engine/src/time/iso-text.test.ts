import { expect, test } from "vitest";
import { msOfIsoText } from "./iso-text.ts";

test("a time is read as ISO 8601 says it, in UTC where no zone is named", () => {
  const noon = Date.UTC(2001, 0, 2, 12);
  for (const text of [
    "2001-01-02T12:00",
    "2001-01-02T12:00:00.000Z",
    "2001-01-02 12:00:00.0000001",
    "2001-01-02t12:00:00z",
    "2001-01-02T14:00+02:00",
    "2001-01-02 07:00:00-0500",
  ])
    expect([text, msOfIsoText(text)]).toEqual([text, noon]);
  expect(["2001", "2001-01", "2001-01-01"].map(msOfIsoText)).toEqual(Array(3).fill(Date.UTC(2001, 0, 1)));
});

test("a day that its month does not have is no time, and is not counted to the next month", () => {
  for (const text of ["2026-02-30", "2026-02-29T10:00Z", "2026-04-31 10:00", "1900-02-29", "2026-01-32", "2026-13-01"])
    expect([text, msOfIsoText(text)]).toEqual([text, Number.NaN]);
  for (const text of ["2024-02-29", "2000-02-29", "2026-01-31", "0004-02-29"])
    expect([text, new Date(msOfIsoText(text)).toISOString().slice(0, 10)]).toEqual([text, text]);
});

test("what is no ISO 8601 is no time, though JavaScript would find one in it", () => {
  for (const text of [
    "",
    "5",
    "soon",
    "2001/01/02",
    "3 May",
    "03/05/2024",
    "Jan 1 2024",
    " 2024-01-01",
    "2024-1-1",
    "2024-01-01T24:30Z",
  ])
    expect([text, msOfIsoText(text)]).toEqual([text, Number.NaN]);
});
