import { describe, expect, it } from "vitest";
import { MillraceError } from "../errors.ts";
import { edgeName, type Plan, type PlanEdge, type PlanNode, planGraph, type Role } from "./plan.ts";

function node(name: string, role: Role, more: Partial<PlanNode> = {}): PlanNode {
  return { name, role, ports: ["out"], partitions: role === "source" ? ["0"] : [], ...more };
}

/** `a -> b`, `a.port -> b`, `a -> b:1` (input), `a => b` (feedback). */
function edge(text: string): PlanEdge {
  const [, from = "", port = "out", arrow, to = "", input = "0"] =
    /^([\w-]+)(?:\.(\w+))? (->|=>) ([\w-]+)(?::(\d))?$/.exec(text) ?? [];
  return { from, port, to, input: Number(input), feedback: arrow === "=>" };
}

/** Names begin with their role: `s` source, `p` pure, `c` committed. */
function planOf(edges: readonly string[], more: Readonly<Record<string, Partial<PlanNode>>> = {}): Plan {
  const parsed = edges.map(edge);
  const names = [...new Set(parsed.flatMap((e) => [e.from, e.to]))];
  const roles: Record<string, Role> = { s: "source", p: "pure", c: "committed" };
  return planGraph(
    names.map((name) => node(name, roles[name[0] as string] as Role, more[name])),
    parsed,
  );
}

const laneNames = (plan: Plan): string[] => plan.lanes.map((lane) => lane.name);

function refusal(act: () => unknown): { readonly code: string; readonly message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a plan", () => {
  it("has a lane for every route from an origin through pure nodes to a committed node", () => {
    expect(laneNames(planOf(["s -> p1", "p1 -> p2", "p2 -> c1", "c1 -> p3", "p3 -> c2"]))).toEqual([
      "s#0>p1>p2>c1",
      "c1.out>p3>c2",
    ]);
  });

  it("has an origin for every partition of a source and every port of a committed node", () => {
    const plan = planOf(["s -> c", "c.late -> c2", "c -> c3"], {
      s: { partitions: ["a", "b"] },
      c: { ports: ["out", "late"] },
    });
    expect(plan.origins.map((origin) => origin.name)).toEqual(["s#a", "s#b", "c.out", "c.late", "c2.out", "c3.out"]);
    expect(laneNames(plan)).toEqual(["s#a>c", "s#b>c", "c.out>c3", "c.late>c2"]);
  });

  it("gives both halves of a diamond lanes of their own, with distinct and with shared last edges (R1)", () => {
    expect(laneNames(planOf(["s -> p1", "s -> p2", "p1 -> c", "p2 -> c:1"]))).toEqual(["s#0>p1>c", "s#0>p2>c:1"]);
    expect(laneNames(planOf(["s -> p1", "s -> p2", "p1 -> p3", "p2 -> p3", "p3 -> c"]))).toEqual([
      "s#0>p1>p3>c",
      "s#0>p2>p3>c",
    ]);
  });

  it("tells the ports of a pure node apart in the names of its lanes", () => {
    expect(laneNames(planOf(["s -> p", "p.big -> c", "p.small -> c"], { p: { ports: ["big", "small"] } }))).toEqual([
      "s#0>p.big>c",
      "s#0>p.small>c",
    ]);
  });

  it("leads frames by paths from root to lane, each path its own", () => {
    const plan = planOf(["s -> p1", "s -> p2", "p1 -> c", "p2 -> c", "c -> c2"]);
    for (const lane of plan.lanes) {
      const ends = new Set([lane.origin.rootPath]);
      for (const next of [...plan.nextPath, ...plan.nextPath]) {
        for (const path of [...ends]) ends.add(next.get(path) ?? path);
      }
      expect(ends).toContain(lane.path);
    }
    const paths = [...plan.origins.map((o) => o.rootPath), ...plan.nextPath.flatMap((next) => [...next.values()])];
    expect(new Set(paths).size).toBe(paths.length);
  });

  it("marks what comes back through a feedback edge, behind pure nodes too", () => {
    const plan = planOf(["s -> c", "c => p", "p -> c"]);
    expect(plan.lanes.map((lane) => [lane.name, lane.feedback])).toEqual([
      ["s#0>c", false],
      ["c.out>p>c", true],
    ]);
  });

  it("is the same for the same graph, so that lanes are found again", () => {
    const edges = ["s -> p1", "s -> p2", "p1 -> c", "p2 -> c"];
    expect(planOf(edges)).toEqual(planOf(edges));
  });

  it("keeps the order of the graph file in lanes and paths", () => {
    expect(planOf(["s -> c1", "s -> c2", "s -> c3"]).lanes.map((lane) => [lane.receiver, lane.path])).toEqual([
      ["c1", 1],
      ["c2", 2],
      ["c3", 3],
    ]);
  });
});

describe("a plan is refused", () => {
  it("when a pure node's output goes nowhere", () => {
    expect(refusal(() => planOf(["s -> p"])).code).toBe("PLAN-DANGLING");
  });

  it("when a cycle has no committed node, and named by the cycle's own path", () => {
    const { code, message } = refusal(() => planOf(["s -> p0", "p0 -> p1", "p1 -> p2", "p2 -> p1", "p2 -> c"]));
    expect(code).toBe("PLAN-CYCLE");
    expect(message).toContain("p1 -> p2 -> p1 ");
    expect(message).not.toContain("p0");
  });

  it("when a pure node feeds itself", () => {
    expect(refusal(() => planOf(["s -> p", "p -> p", "p -> c"])).message).toContain("p -> p ");
  });

  it("when more than 64 routes lead from one origin to one receiver, and not before", () => {
    const fan = (n: number): string[] => Array.from({ length: n }, (_, i) => [`s -> p${i}`, `p${i} -> c`]).flat();
    expect(planOf(fan(64)).lanes).toHaveLength(64);
    const { code, message } = refusal(() => planOf(fan(65)));
    expect(code).toBe("PLAN-ROUTES");
    expect(message).toContain("s#0 to c");
  });

  it("without listing the routes of a row of diamonds, of which there are 2^40", () => {
    const diamonds = Array.from({ length: 40 }, (_, i) => [
      `p${i} -> pa${i}`,
      `p${i} -> pb${i}`,
      `pa${i} -> p${i + 1}`,
      `pb${i} -> p${i + 1}`,
    ]);
    expect(refusal(() => planOf(["s -> p0", ...diamonds.flat(), "p40 -> c"])).code).toBe("PLAN-ROUTES");
  });
});

describe("the work of planning", () => {
  /** How often a plan looks at a node's role or an edge's end. */
  function looks(nodes: readonly PlanNode[], edges: readonly PlanEdge[]): number {
    let count = 0;
    const counted = <T extends object>(item: T, field: keyof T & string): T => {
      const value = item[field];
      return Object.defineProperty({ ...item }, field, {
        get: () => {
          count++;
          return value;
        },
      });
    };
    planGraph(
      nodes.map((n) => counted(n, "role")),
      edges.map((e) => counted(e, "to")),
    );
    return count;
  }

  it.each<[string, (n: number) => [PlanNode[], PlanEdge[]]]>([
    [
      "of a long chain of pure nodes",
      (n) => {
        const nodes = Array.from({ length: n }, (_, i) => node(`p${i}`, "pure"));
        const edges = nodes.slice(1).map((to, i) => edge(`p${i} -> ${to.name}`));
        return [
          [node("s", "source"), ...nodes, node("c", "committed")],
          [edge("s -> p0"), ...edges, edge(`p${n - 1} -> c`)],
        ];
      },
    ],
    [
      "of many small pipelines",
      (n) => {
        const each = Array.from({ length: n / 3 }, (_, i) => i);
        return [
          each.flatMap((i) => [node(`s${i}`, "source"), node(`p${i}`, "pure"), node(`c${i}`, "committed")]),
          each.flatMap((i) => [edge(`s${i} -> p${i}`), edge(`p${i} -> c${i}`)]),
        ];
      },
    ],
    [
      "of one source with many receivers",
      (n) => {
        const each = Array.from({ length: n }, (_, i) => i);
        return [
          [node("s", "source"), ...each.map((i) => node(`c${i}`, "committed"))],
          each.map((i) => edge(`s -> c${i}`)),
        ];
      },
    ],
  ])("%s grows with the size of the graph and no faster", (_name, graph) => {
    const small = looks(...graph(999));
    const large = looks(...graph(9999));
    expect(large / small).toBeLessThan(11);
  });
});

describe("the name of an edge", () => {
  it("is that of the graph file, with the port only where it has a name of its own", () => {
    expect(edgeName(edge("a -> b"))).toBe("a -> b");
    expect(edgeName(edge("a.late -> b"))).toBe("a.late -> b");
  });
});
