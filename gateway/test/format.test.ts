import { expect, test } from "vitest";
import { number } from "../console/src/format.ts";

test("a value of a row is never shown as 0 that is not", () => {
  expect([0, 7, 1_234_567, 12.34567, -0.5, 0.000_412_9, -1e-9].map(number)).toEqual([
    "0",
    "7",
    "1\u202f234\u202f567",
    "12.346",
    "-0.5",
    "0.000413",
    "-1e-9",
  ]);
});
