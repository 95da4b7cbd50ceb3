import { parseGraph } from "@millrace/engine";
import { expect, test } from "vitest";
import { cronFault } from "./cron-fault.ts";

test("a schedule that no time fits is found with the graph file, not when it runs", () => {
  const problems = (pattern: string): readonly string[] => {
    const text = `{ name: g, nodes: { in: { kind: source, from: "cron:${pattern}" }, out: { kind: sink, input: in, to: "discard:" } } }`;
    const parsed = parseGraph(text, { cronFault });
    return "problems" in parsed ? parsed.problems.map(({ code, message }) => `${code} ${message}`) : [];
  };
  expect(problems("99 * * * *")).toEqual([
    expect.stringMatching(/^GRAPH-TIME `99 .*` is no cron schedule: Invalid.*99/),
  ]);
  expect(problems("0 0 30 2 *")).toEqual(["GRAPH-TIME `0 0 30 2 *` is a time that never comes"]);
  expect(problems("* * * *")).toEqual([expect.stringContaining("has 5 fields, or 6 with seconds")]);
  for (const pattern of ["*/5 * * * *", "0 30 4 L * MON-FRI", "0 0 29 2 *"]) expect(problems(pattern)).toEqual([]);
});
