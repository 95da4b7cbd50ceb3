import { parseGraph, systemEnv } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { compileGraph } from "../compile/compile-graph.ts";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { firstDeployment, nextDeployment, nodesBegunAnew, stateSinceOf } from "./deployment.ts";
import type { Deployment } from "./graph-stream.ts";
import { ProjectionTables } from "./projection-tables.ts";

async function compiled(window: string, replace = ""): Promise<CompiledGraph> {
  const text = `name: counts
nodes:
  a:      { kind: source, from: "file:./a.csv", time: at }
  b:      { kind: source, from: "file:./b.csv", time: at }
  minute: { kind: window, input: [a, b], compute: { n: "count()" }, ${window} }
  sums:   { kind: sink, input: minute, to: "file:sums.ndjson"${replace} }
`;
  const parsed = parseGraph(text);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return compileGraph(parsed.graph, text, { dir: ".", out: ".", env: systemEnv(), tables: new ProjectionTables() });
}

it("a sink of the next revision goes on with its file, whether or not it would have replaced what was in it", async () => {
  const before = await compiled("tumbling: 1m");
  const next = await compiled("tumbling: 1m", ", replace: true");
  expect(next.hash).not.toBe(before.hash);
  expect(nextDeployment(firstDeployment(before), before, next, []).stateSince).toEqual({});
});

it("a revision whose sink was refused its file is run to its end with the leave that the next one gives", async () => {
  const before = await compiled("tumbling: 1m");
  const next = await compiled("tumbling: 1m", ", replace: true");
  const ending = await next.recompile(before.text);
  expect([before, ending].map(({ hash, written }) => [hash, written[0]?.replace])).toEqual([
    [before.hash, false],
    [before.hash, true],
  ]);
});

describe("a node of the next revision", () => {
  it.each([
    ["tumbling: 1h", { minute: 2 }],
    ["tumbling: 1m, mailbox: { capacity: 10 }", {}],
    ["tumbling: 1m, align: { maxDrift: 5m }", {}],
    ["tumbling: 1m, supervision: { restart: transient }", {}],
  ])("with %s begins without state only if it does something else with its messages", async (window, stateSince) => {
    const before = await compiled("tumbling: 1m");
    const next = await compiled(window);
    expect(nextDeployment(firstDeployment(before), before, next, []).stateSince).toEqual(stateSince);
    expect(nodesBegunAnew(before, next)).toEqual(Object.keys(stateSince));
  });
});

it("a node that is called as what every object has is kept since the first revision, too", () => {
  const deployment = { stateSince: { minute: 2 } } as unknown as Deployment;
  expect(["minute", "other", "constructor"].map((node) => stateSinceOf(deployment, node))).toEqual([
    2,
    undefined,
    undefined,
  ]);
});
