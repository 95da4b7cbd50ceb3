import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

describe("a duration", () => {
  test.each([
    ["250ms", 250],
    ["1h", 3_600_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["1.1h", 3_960_000],
    ["2.3d4.1h", 213_480_000],
    ["2d1h1m1s1ms", 176_461_001],
  ])("%s is %d ms", (text, ms) => {
    expect(parseDuration(text)).toEqual({ ms });
  });

  test.each([
    ["", "expected a duration such as 1h30m or 250ms", 0],
    ["soon", "expected a duration such as 1h30m or 250ms", 0],
    ["2560", "the unit is missing: d, h, m, s or ms", 0],
    ["1h30", "the unit is missing: d, h, m, s or ms", 2],
    ["10 min", "unknown unit `min`: d, h, m, s or ms", 0],
    ["1h2weeks", "unknown unit `weeks`: d, h, m, s or ms", 2],
    ["-5s", "a duration cannot be negative", 0],
    ["30m1h", "`h` cannot follow a unit that is not larger", 3],
    ["1s1s", "`s` cannot follow a unit that is not larger", 2],
    ["0s", "a duration must be greater than 0", 0],
    ["1.5ms", "durations are whole milliseconds", 0],
    ["99999999d", "a duration may be at most 100 years", 0],
  ])("%j is refused at its fault", (text, fault, at) => {
    expect(parseDuration(text)).toEqual({ fault, at });
  });

  test("is written so that it reads back the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000_000_000 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toEqual({ ms });
      }),
    );
  });
});
