import { describe, expect, test } from "vitest";
import { graph } from "./builder.ts";
import type { GraphModel } from "./model.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

const TIMED = ["a", "b"].map((name) => `${name}: { kind: source, from: "file:${name}.csv", time: at }`);
const OUT = 'out: { kind: sink, input: it, to: "discard:" }';
const WINDOW = "kind: window, input: [a, b], tumbling: 1h, compute: { n: count() }";

/** Nodes from line 3 on. */
function parsed(...nodes: readonly string[]): ReturnType<typeof parseGraph> {
  const text = `name: g\nnodes:\n${nodes.map((node) => `  ${node}`).join("\n")}\n`;
  return parseGraph(text, { file: "g.yaml" });
}

function problems(...nodes: readonly string[]): readonly string[] {
  const result = parsed(...nodes);
  return "problems" in result ? result.problems.map(formatProblem) : [];
}

function driftOf(model: GraphModel, name: string): number | undefined {
  return model.nodes.get(name)?.maxDriftMs;
}

describe("inputs that wait for each other in event time", () => {
  test("are those of a node with state, or of a sink, and are the same in code", () => {
    const result = parsed(
      ...TIMED,
      `it: { ${WINDOW}, align: { maxDrift: 5m } }`,
      'out: { kind: sink, input: [it, a], to: "discard:", align: { maxDrift: 90m } }',
    );
    if ("problems" in result) throw new Error(result.problems.map(formatProblem).join());
    expect(["a", "it", "out"].map((name) => driftOf(result.graph, name))).toEqual([undefined, 300_000, 5_400_000]);
    const built = graph("g");
    const timed = ["a", "b"].map((name) => built.source(name, { from: `file:${name}.csv`, time: "at" }));
    const window = { tumbling: "1h", compute: { n: "count()" }, align: { maxDrift: "5m" } };
    const model = built.merge("all", timed).window("it", window).sink("out", { to: "discard:" }).build();
    expect(driftOf(model, "it")).toBe(300_000);
  });

  test("do not meet at a node without state: its receivers with state are named", () => {
    expect(
      problems(
        ...TIMED,
        "all: { kind: merge, inputs: [a, b], align: { maxDrift: 5m } }",
        'it: { kind: map, input: all, set: { x: "1" } }',
        'out: { kind: sink, input: [all, it], to: "discard:" }',
        "w: { kind: window, input: it, tumbling: 1h, compute: { n: count() } }",
        'last: { kind: sink, input: w, to: "discard:" }',
      ),
    ).toEqual([
      "g.yaml:5:39 GRAPH-SCHEMA `all` keeps no state, so its inputs need not wait; set `align` where they meet state: `out`, `w`",
    ]);
    const counted = "all: { kind: filter, input: [a, b], where: event.x, mode: state, align: { maxDrift: 5m } }";
    expect(problems(...TIMED, counted, 'out: { kind: sink, input: all, to: "discard:" }')).toEqual([]);
  });

  test.each([
    ["align: { maxdrift: 5m }", "5:86 GRAPH-SCHEMA unknown key `maxdrift`; did you mean `maxDrift`?"],
    ["align: {}", "5:77 GRAPH-SCHEMA key `maxDrift` is missing"],
    ["allign: { maxDrift: 5m }", "5:77 GRAPH-SCHEMA unknown key `allign` of a window; did you mean `align`?"],
    ["align: { maxDrift: 5x }", "5:96 GRAPH-TIME `5x`: unknown unit `x`: d, h, m, s or ms"],
  ])("are set by %s, which is told", (align, problem) => {
    expect(problems(...TIMED, `it: { ${WINDOW}, ${align} }`, OUT)).toContain(`g.yaml:${problem}`);
  });

  test("need an event time", () => {
    const [timed = ""] = TIMED;
    const it = 'it: { kind: sink, input: [a, b], to: "discard:", align: { maxDrift: 5m } }';
    expect(problems(timed, 'b: { kind: source, from: "file:b.csv" }', it)).toEqual([
      "g.yaml:5:52 GRAPH-TIME `it` aligns its inputs by event time, but source `b` has no `time`",
    ]);
    expect(problems(timed, 'b: { kind: source, from: "http:/b" }', it)).toEqual([
      "g.yaml:5:52 GRAPH-TIME `it` aligns its inputs by event time, but source `b` has no `time`",
    ]);
  });

  test("are not to be lost while they wait", () => {
    const lossy =
      "inputs that are ahead wait in the mailbox, where `overflow: drop-oldest` would lose them; use `block`";
    const aligned = (mailbox: string): string => `it: { ${WINDOW}, align: { maxDrift: 5m }${mailbox} }`;
    expect(problems(...TIMED, aligned(", mailbox: { overflow: drop-oldest }"), OUT)).toEqual([
      `g.yaml:5:77 GRAPH-SCHEMA ${lossy}`,
    ]);
    const edges = '\nedges: { "b -> it": { overflow: drop-oldest } }';
    expect(problems(...TIMED, aligned(""), `${OUT}${edges}`)).toEqual([`g.yaml:5:77 GRAPH-SCHEMA ${lossy}`]);
    const own = "\ndefaults: { mailbox: { overflow: drop-oldest } }";
    expect(problems(...TIMED, aligned(", mailbox: { overflow: block }"), `${OUT}${own}`)).toEqual([]);
  });

  test("could wait for each other for ever where windows before them hold them back further", () => {
    const windows = [
      "w: { kind: window, input: a, hopping: { size: 1h, every: 15m }, lateness: 5m, compute: { n: count() } }",
      "day: { kind: window, input: w, tumbling: 1d, compute: { n: sum(event.n) } }",
    ];
    const out = (maxDrift: string): string =>
      `out: { kind: sink, input: [b, day], to: "discard:", align: { maxDrift: ${maxDrift} } }`;
    expect(problems(...TIMED, ...windows, out("1d1h4m"))).toEqual([
      "g.yaml:7:74 GRAPH-TIME windows before `out` hold its inputs back by 1d1h5m, so that with `maxDrift` 1d1h4m they could wait for each other for ever; use 1d1h5m or more",
    ]);
    expect(problems(...TIMED, ...windows, out("1d1h5m"))).toEqual([]);
  });
});
