import { expect, test } from "vitest";
import { integer } from "./options.ts";

test("a whole number is digits: what JavaScript takes for one besides is refused", () => {
  expect(["0", "8080", "007"].map((text) => integer(text, 0, 65_535))).toEqual([0, 8080, 7]);
  for (const text of ["", " ", "1e3", "0x10", "8080 ", "-1", "1.0", "65536"])
    expect(() => integer(text, 0, 65_535), text).toThrow("expected a whole number from 0 to 65535.");
});
