import { expect, test } from "vitest";
import { parseCustomAddress } from "./custom-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

test("a custom: address names a module and what it is told", () => {
  expect(parseCustomAddress("./a/stock.mjs?warehouse=7&name=a%20b")).toEqual({
    kind: "module",
    path: "./a/stock.mjs",
    options: new Map([
      ["warehouse", "7"],
      ["name", "a b"],
    ]),
  });
});

test("what is no module, and what a source that is always followed cannot do, is told", () => {
  const text = `name: g
nodes:
  in:  { kind: source, from: "custom:./stock.py" }
  on:  { kind: source, from: "custom:./stock.mjs", follow: true }
  both: { kind: merge, inputs: [in, on] }
  out:  { kind: sink, input: both, to: "custom:?x=1" }
`;
  const parsed = parseGraph(text, { file: "g.yaml" });
  const lines = "problems" in parsed ? parsed.problems.map(formatProblem) : [];
  expect(lines).toEqual([
    expect.stringContaining("`custom:./stock.py`: expected the path of a module"),
    expect.stringContaining("`follow`"),
    expect.stringContaining("`custom:?x=1`: expected the path of a module"),
  ]);
});
