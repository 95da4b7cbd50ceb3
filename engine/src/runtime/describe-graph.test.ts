import { afterEach, describe, expect, it, vi } from "vitest";
import { ActorMeter } from "../actor/meter.ts";
import { Mailbox } from "../mailbox/mailbox.ts";
import { Tally } from "../testing/tally.ts";
import { describeGraph } from "./describe-graph.ts";
import { GraphWiring } from "./graph-wiring.ts";
import type { NodeRunner } from "./node-runner.ts";
import { type PlanEdge, planGraph } from "./plan.ts";
import type { GraphProgram, ProgramEdge, ProgramNode } from "./program.ts";

const SOURCE: ProgramNode = {
  name: "src",
  kind: "source",
  role: "source",
  connector: {
    capabilities: { replay: true, ordered: true, bounded: false },
    partitions: async () => ["0"],
    open: async () => ({ read: () => new Promise(() => undefined), close: async () => undefined }),
  },
};
const SINK: ProgramNode = { name: "sink", kind: "sink", role: "committed", make: () => new Tally(), isSink: true };

const between = (n: number): ProgramNode[] =>
  Array.from({ length: n }, (_, i) => ({ name: `n${i}`, kind: "window", role: "committed", make: () => new Tally() }));

/** One after the other. */
function chain(n: number): ProgramEdge[] {
  const names = ["src", ...between(n).map(({ name }) => name), "sink"];
  return names.slice(1).map((to, i) => ({ from: names[i] as string, to }));
}

/** All side by side. */
const fan = (n: number): ProgramEdge[] =>
  between(n).flatMap(({ name }) => [
    { from: "src", to: name },
    { from: name, to: "sink" },
  ]);

afterEach(() => void vi.restoreAllMocks());

/** A graph of `n` nodes between source and sinks; `look` is called whenever one of its edges is looked at. */
function running(n: number, edgesOf: (n: number) => ProgramEdge[], look: () => void = () => undefined) {
  const nodes = [SOURCE, ...between(n), SINK];
  const edges = edgesOf(n).map(({ from, to }): PlanEdge => ({ from, to, port: "out", input: 0, feedback: false }));
  const watched = edges.map(
    (edge) =>
      new Proxy(edge, {
        get(target, key) {
          look();
          return Reflect.get(target, key);
        },
      }),
  );
  const plan = planGraph(
    nodes.map(({ name, role }) => ({ name, role, ports: ["out"], partitions: role === "source" ? ["0"] : [] })),
    watched,
  );
  const program: GraphProgram = { graph: "g", revision: 1, codeVersion: "1", durability: "durable", nodes, edges };
  const wiring = new GraphWiring(program, plan, undefined, undefined);
  const runner = { meter: new ActorMeter(), stepsInFlight: 0, position: 0, commitP99Ms: null } as unknown as NodeRunner;
  const views = nodes.map((node) => ({ node, runner, child: undefined, waiting: undefined }));
  const elsewhere = views.map((view) => ({ ...view, runner: undefined }));
  return {
    wiring,
    describe: () => describeGraph(program, "running", 0, 0, views, wiring),
    describeElsewhere: (state: "running" | "stopped") => describeGraph(program, state, 0, 0, elsewhere, wiring),
  };
}

/** How often edges, and what waits in mailboxes, are looked at to describe a graph. */
function looksAt(n: number, edgesOf: (n: number) => ProgramEdge[]): number {
  let looks = 0;
  const look = (): void => void looks++;
  const graph = running(n, edgesOf, look);
  for (const name of ["depth", "oldestBornMs"] as const)
    vi.spyOn(Mailbox.prototype, name, "get").mockImplementation(() => ++looks * 0);
  looks = 0;
  expect(graph.describe().nodes.length).toBe(n + 2);
  vi.restoreAllMocks();
  return looks;
}

describe("what a graph says of itself", () => {
  it.each([
    ["a chain", chain],
    ["nodes that all lead to one", fan],
  ])("takes ten times the work for ten times the nodes: %s", (_, edgesOf) => {
    expect(looksAt(1000, edgesOf)).toBeLessThanOrEqual(10 * looksAt(100, edgesOf));
  });

  it("is that a node whose mailbox is full is slow, and that those before it wait for it", () => {
    const { wiring, describe } = running(3, chain);
    const mailbox = wiring.mailbox("n1");
    Object.defineProperty(mailbox, "depth", { get: () => mailbox.capacity });
    const pressures = describe().nodes.map(({ node, pressure }) => [node, pressure]);
    expect(Object.fromEntries(pressures)).toEqual({
      src: "none",
      n0: "downstream",
      n1: "cpu",
      n2: "none",
      sink: "none",
    });
  });
});

it("a node that no actor runs while its graph does is on another host", () => {
  const { describe: here, describeElsewhere } = running(1, chain);
  const told = (nodes: ReturnType<typeof here>["nodes"]) => nodes.map(({ isElsewhere }) => isElsewhere);
  expect(told(here().nodes)).toEqual([undefined, undefined, undefined]);
  expect(told(describeElsewhere("running").nodes)).toEqual([true, true, true]);
  expect(told(describeElsewhere("stopped").nodes)).toEqual([undefined, undefined, undefined]);
});
