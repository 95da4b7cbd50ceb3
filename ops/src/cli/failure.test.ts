import { reportOf } from "@millrace/engine";
import { expect, it } from "vitest";
import { failureText } from "./failure.ts";
import { type LoadedGraph, refuseProblems } from "./load-graph.ts";

it("each problem of graph files is in a failure once, as JSON and as text", () => {
  const problems = ["`from` is missing", "there is no node `c`"].map((message, i) => {
    return { code: "GRAPH-REF", message, file: "g.yaml", line: i + 3, column: 5, path: "" } as const;
  });
  let report: ReturnType<typeof reportOf> | undefined;
  try {
    refuseProblems([{ problems } as unknown as LoadedGraph]);
  } catch (thrown) {
    report = reportOf(thrown);
  }
  for (const text of [JSON.stringify(report), failureText(report as NonNullable<typeof report>)])
    expect(problems.map(({ message }) => text.split(message).length - 1)).toEqual([1, 1]);
  expect(failureText(report as NonNullable<typeof report>)).toContain(
    " found 2 problems\n  g.yaml:3:5 GRAPH-REF `from` is missing\n  g.yaml:4:5 GRAPH-REF there",
  );
});

it("what data says cannot steer the terminal that a failure is shown on", () => {
  const text = failureText({ code: "X", kind: "rejected", message: "a\u001b[2J", place: { file: "b\r.csv", line: 3 } });
  expect(text).toMatch(/^b\\u000d\.csv:3:1 .*X.* a\\u001b\[2J$/);
});
