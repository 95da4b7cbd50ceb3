/**
 * From nodes and edges to lanes: every route from an origin through pure nodes to a committed receiver, known before anything
 * runs (step-protocol §1). Frames carry a **path**, a node of the tree of all route prefixes; at a committed receiver the path
 * is the lane.
 */
import { type NextPath, nextPathOf } from "../actor/next-path.ts";
import { defineErrors } from "../errors.ts";
import { groupBy } from "./group-by.ts";

export const planError = defineErrors({
  "PLAN-ROUTES": {
    kind: "rejected",
    summary: "Too many routes lead from one origin to one receiver.",
    remedy: "Give the merging node state (`mode: state`), so that it becomes a receiver of its own.",
  },
  "PLAN-DANGLING": {
    kind: "rejected",
    summary: "A node's output goes nowhere.",
    remedy: "Connect it, or add a sink to `discard:`.",
  },
  "PLAN-CYCLE": {
    kind: "rejected",
    summary: "A cycle has no committed node in it.",
    remedy: "A cycle needs a node with state, and one edge declared as feedback.",
  },
});

export type Role = "source" | "pure" | "committed";

export interface PlanNode {
  readonly name: string;
  readonly role: Role;
  readonly ports: readonly string[];
  /** For sources; each is an origin. */
  readonly partitions: readonly string[];
}

export interface PlanEdge {
  readonly from: string;
  readonly port: string;
  readonly to: string;
  /** Which input of `to`, by the order of the graph file. */
  readonly input: number;
  readonly feedback: boolean;
}

export interface PlanOrigin {
  /** `node#partition` for sources, `node.port` for committed nodes. */
  readonly name: string;
  readonly node: string;
  /** Partition of a source, port of a committed node. */
  readonly part: string;
  readonly rootPath: number;
  /** The pure nodes that its lanes lead through. */
  readonly relays: ReadonlySet<string>;
}

export interface PlanLane {
  /** Origin and route: the same in every run of this revision. */
  readonly name: string;
  readonly origin: PlanOrigin;
  /** Path at the receiver. */
  readonly path: number;
  readonly receiver: string;
  readonly input: number;
  readonly feedback: boolean;
}

export interface Plan {
  readonly edges: readonly PlanEdge[];
  readonly origins: readonly PlanOrigin[];
  readonly lanes: readonly PlanLane[];
  /** By index of the edge: the path after it, by the path before. */
  readonly nextPath: readonly NextPath[];
}

const ROUTES_MAX = 64;

/** @throws PLAN-ROUTES, PLAN-DANGLING, PLAN-CYCLE */
export function planGraph(nodes: readonly PlanNode[], edges: readonly PlanEdge[]): Plan {
  return new Planner(nodes, edges).plan();
}

export function edgeName(edge: Pick<PlanEdge, "from" | "port" | "to">): string {
  return `${edge.from}${edge.port === "out" ? "" : `.${edge.port}`} -> ${edge.to}`;
}

class Planner {
  readonly #nodes: ReadonlyMap<string, PlanNode>;
  readonly #edges: readonly PlanEdge[];
  /** Indices of the edges that leave a node. */
  readonly #leaving: ReadonlyMap<string, readonly number[]>;
  readonly #origins: PlanOrigin[] = [];
  readonly #lanes: PlanLane[] = [];
  /** Routes found so far, by origin and receiver. */
  readonly #routes = new Map<string, number>();
  /** Steps of the tree: path before, edge, path after. */
  readonly #steps: { readonly before: number; readonly edge: number; readonly after: number }[] = [];
  #paths = 0;

  constructor(nodes: readonly PlanNode[], edges: readonly PlanEdge[]) {
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
    this.#edges = edges;
    this.#leaving = groupBy(edges.keys(), (index) => (edges[index] as PlanEdge).from);
  }

  plan(): Plan {
    this.#refuseCycles();
    for (const node of this.#nodes.values()) {
      if (node.role === "pure" && !this.#leaving.has(node.name)) {
        throw planError("PLAN-DANGLING", `the output of ${node.name} goes nowhere`, { place: { node: node.name } });
      }
      if (node.role !== "pure") this.#origin(node);
    }
    const steps = groupBy(this.#steps, ({ edge }) => edge);
    const nextPath = this.#edges.map((_, edge) =>
      nextPathOf((steps.get(edge) ?? []).map(({ before, after }) => [before, after] as const)),
    );
    return {
      edges: this.#edges,
      origins: this.#origins,
      lanes: this.#lanes,
      nextPath,
    };
  }

  #origin(node: PlanNode): void {
    const parts = node.role === "source" ? node.partitions : node.ports;
    for (const part of parts) {
      const name = node.role === "source" ? `${node.name}#${part}` : `${node.name}.${part}`;
      const relays = new Set<string>();
      const origin = { name, node: node.name, part, rootPath: this.#paths++, relays };
      this.#origins.push(origin);
      const port = node.role === "source" ? undefined : part;
      this.#follow(origin, relays, { node: node.name, port, path: origin.rootPath, name, feedback: false });
    }
  }

  /** All routes from an origin, depth first, so that paths are numbered in the order of the graph file. */
  #follow(origin: PlanOrigin, relays: Set<string>, start: Route): void {
    const open = [start];
    for (let route = open.pop(); route !== undefined; route = open.pop()) {
      const onward = (this.#leaving.get(route.node) ?? []).map((index) => this.#step(origin, route as Route, index));
      const further = onward.filter((next) => next !== undefined);
      for (const { node } of further) relays.add(node);
      open.push(...further.reverse());
    }
  }

  /** Extends a route by one edge; `undefined` when it ends there or does not lead along it. */
  #step(origin: PlanOrigin, route: Route, index: number): Route | undefined {
    const edge = this.#edges[index] as PlanEdge;
    if (route.port !== undefined && edge.port !== route.port) return undefined;
    const path = this.#paths++;
    this.#steps.push({ before: route.path, edge: index, after: path });
    const port = edge.port === "out" || route.port !== undefined ? "" : `.${edge.port}`;
    const name = `${route.name}${port}>${edge.to}${edge.input === 0 ? "" : `:${edge.input}`}`;
    const feedback = route.feedback || edge.feedback;
    if (this.#nodes.get(edge.to)?.role === "committed") {
      this.#lanes.push({ name, origin, path, receiver: edge.to, input: edge.input, feedback });
      this.#countRoute(origin, edge.to);
      return undefined;
    }
    return { node: edge.to, port: undefined, path, name, feedback };
  }

  /** Counted as they are found: a row of diamonds has more routes than could ever be listed. */
  #countRoute(origin: PlanOrigin, receiver: string): void {
    const key = `${origin.name} to ${receiver}`;
    const count = (this.#routes.get(key) ?? 0) + 1;
    this.#routes.set(key, count);
    if (count > ROUTES_MAX) {
      throw planError("PLAN-ROUTES", `more than ${ROUTES_MAX} routes from ${key}`, { place: { node: receiver } });
    }
  }

  /** Routes through pure nodes must end, so every cycle needs a committed node. Visits each node and edge once. */
  #refuseCycles(): void {
    const done = new Set<string>();
    const open = new Set<string>();
    const way: { readonly node: string; readonly left: string[] }[] = [];
    const enter = (node: string): void => {
      open.add(node);
      way.push({ node, left: this.#pureSuccessors(node) });
    };
    for (const { name, role } of this.#nodes.values()) {
      if (role === "pure" && !done.has(name)) enter(name);
      for (let at = way.at(-1); at !== undefined; at = way.at(-1)) {
        const next = at.left.pop();
        if (next === undefined) {
          way.pop();
          open.delete(at.node);
          done.add(at.node);
        } else if (open.has(next)) throw cycleError([...open], next);
        else if (!done.has(next)) enter(next);
      }
    }
  }

  #pureSuccessors(node: string): string[] {
    const successors = (this.#leaving.get(node) ?? []).map((index) => (this.#edges[index] as PlanEdge).to);
    return successors.filter((to) => this.#nodes.get(to)?.role === "pure");
  }
}

/** Where a route has come to. */
interface Route {
  readonly node: string;
  /** For committed nodes: the port that is the origin. */
  readonly port: string | undefined;
  readonly path: number;
  readonly name: string;
  readonly feedback: boolean;
}

function cycleError(within: readonly string[], to: string): Error {
  const cycle = [...within.slice(within.indexOf(to)), to];
  return planError("PLAN-CYCLE", `the cycle ${cycle.join(" -> ")} has no committed node`, { place: { node: to } });
}
