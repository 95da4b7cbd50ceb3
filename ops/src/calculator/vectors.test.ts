import type { LooseCalculator } from "@millrace/actors";
import { type Json, reportOf } from "@millrace/engine";
import { expect, it } from "vitest";
import { parseVectors, runCase } from "./vectors.ts";

const answering = (out: Json): LooseCalculator =>
  ({ reset: () => undefined, run: async () => [{ out: [out] }] }) as unknown as LooseCalculator;

it.each<[Json, Json, boolean]>([
  [{ v: -0, all: [{ v: 0 }, -0] }, { v: 0, all: [{ v: -0 }, 0] }, true],
  [{ v: 0 }, { v: null }, false],
  [{ v: 1 }, { v: -1 }, false],
  [{ v: 1, w: 1 }, { v: 1 }, false],
])("%j is what was expected as %j: %s", async (out, expected, passed) => {
  const one = { name: "one", given: [{}], expect: [expected], at: 0 };
  expect(await runCase(answering(out), one)).toMatchObject({ passed });
});

it.each<[Json]>([["2026-01-01T00:00:00Z"], ["12"], [null]])("a case at %j is at no time of a step", (at) => {
  const text = JSON.stringify({ cases: [{ given: [], expect: [], at }] });
  const read = (): unknown => {
    try {
      return parseVectors(text, "v.json");
    } catch (thrown) {
      return reportOf(thrown);
    }
  };
  expect(read()).toMatchObject({ code: "CLI-USAGE", message: expect.stringContaining("case 0: `at`") });
});
