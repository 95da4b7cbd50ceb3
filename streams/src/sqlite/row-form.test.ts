import { expect, test } from "vitest";
import type { TableShape } from "../sql/table.ts";
import { jsonRow } from "./row-form.ts";

test("a number for which JSON has none is a text, and not nothing", () => {
  const columns = new Map([["x", { type: "real", isNullable: true, isUnique: false }]]);
  const x = (value: number) => jsonRow({ v0: value, t0: 0n }, { identity: undefined, columns } satisfies TableShape).x;
  expect([x(1.5), x(1 / 0), x(-1 / 0)]).toEqual([1.5, "Infinity", "-Infinity"]);
});
