import { expect, test } from "vitest";
import { hidden } from "./hidden.ts";

test.each([
  ["not with s3cret, s3cret", ["s3cret"], "not with ***, ***"],
  ["at /?key=a%2Fb%20c", ["a/b c"], "at /?key=***"],
  ["abcdef and abc", ["abc", "abcdef"], "*** and ***"],
  ["nothing to hide", ["", "other"], "nothing to hide"],
])("%s is shown without its secrets", (text, secrets, shown) => {
  expect(hidden(text, secrets)).toBe(shown);
});
