import { describe, expect, it } from "vitest";
import { EdgeMeter, type Link, type OutEdge } from "../actor/link.ts";
import { nextPathOf } from "../actor/next-path.ts";
import { type PureBehavior, pureResult } from "../behavior/pure-behavior.ts";
import { chainsOf, edgesAcross } from "./fusion.ts";
import type { GraphProgram, ProgramEdge, ProgramNode } from "./program.ts";

const fusible = (): PureBehavior => ({
  kind: "pure",
  ports: ["out"],
  row: (row) => row,
  transform: (batch) => pureResult(batch),
});

const expanding = (): PureBehavior => ({ ...fusible(), expands: true });

/** Chains of the graph `src -> … -> sink` with pure nodes of these names between them, along the given edges. */
function chains(
  names: string,
  edges: readonly (string | ProgramEdge)[],
  more: Readonly<Record<string, Partial<ProgramNode>>> = {},
): string[] {
  const pure = names
    .split(" ")
    .map((name) => ({ name, kind: "map", role: "pure", make: fusible, ...more[name] }) as ProgramNode);
  const program: GraphProgram = {
    graph: "g",
    revision: 1,
    codeVersion: "1",
    durability: "durable",
    nodes: pure,
    edges: edges.map((edge) => {
      if (typeof edge !== "string") return edge;
      const [from = "", to = ""] = edge.split(" ");
      return { from, to };
    }),
  };
  return chainsOf(program).map((chain) => chain.map((node) => node.name).join(" "));
}

describe("pure nodes that run as one", () => {
  it("are those of an unbroken chain, in order", () => {
    expect(chains("a b c", ["src a", "a b", "b c", "c sink"])).toEqual(["a b c"]);
  });

  it("end where a node has several outputs or several inputs", () => {
    expect(chains("a b c d", ["src a", "a b", "b c", "b d", "c sink", "d sink"])).toEqual(["a b"]);
    expect(chains("a b c d", ["src a", "src b", "a c", "b c", "c d", "d sink"])).toEqual(["c d"]);
  });

  it.each<[string, Partial<ProgramNode>]>([
    ["that expands", { make: expanding } as Partial<ProgramNode>],
    ["whose mailbox drops", { mailbox: { overflow: "drop-oldest" } }],
    ["with state", { role: "committed" }],
  ])("leave a node out %s", (_what, other) => {
    expect(chains("a b c d e", ["src a", "a b", "b c", "c d", "d e", "e sink"], { c: other })).toEqual(["a b", "d e"]);
  });

  it.each<[string, Partial<ProgramEdge>]>([
    ["leads over a broker", { via: "nats" }],
    ["is feedback", { feedback: true }],
  ])("do not reach across an edge that %s", (_what, other) => {
    expect(chains("a b c", ["src a", { from: "a", to: "b", ...other }, "b c", "c sink"])).toEqual(["b c"]);
  });

  it("are none where nodes stand alone", () => {
    expect(chains("a", ["src a", "a sink"])).toEqual([]);
  });
});

describe("the edges of a chain's end, seen from its head", () => {
  const link: Link = { hasCredit: () => true, whenCredit: () => undefined, send: () => undefined };
  const edge = (paths: readonly (readonly [number, number])[]): OutEdge => ({
    name: "x -> y",
    link,
    nextPath: nextPathOf(paths),
    meter: new EdgeMeter(),
  });
  const stepsOf = (edge: OutEdge | undefined): unknown =>
    [...(edge?.nextPath.keys() ?? [])].map((before) => [before, edge?.nextPath.get(before)]);

  it("lead each path through all inner edges, and none that does not go all the way", () => {
    const inner = [
      edge([
        [1, 11],
        [2, 12],
        [3, 13],
      ]),
      edge([
        [11, 21],
        [12, 22],
      ]),
    ];
    const [first, second] = edgesAcross(inner, [
      edge([
        [21, 31],
        [22, 32],
      ]),
      edge([[21, 41]]),
    ]);
    expect(stepsOf(first)).toEqual([
      [1, 31],
      [2, 32],
    ]);
    expect(stepsOf(second)).toEqual([[1, 41]]);
  });
});
