/**
 * Order and cycles. Edges that are not feedback must form no cycle (Kahn's order exists), and every cycle that a feedback edge
 * closes needs a committed node: without one nothing in the loop ever becomes durable (step-protocol R20).
 */
import { type DraftNode, isCommitted } from "./draft.ts";
import { type DraftEdge, edgeName } from "./edges.ts";
import type { ProblemList } from "./problem.ts";

/** Nodes before those that they feed; ties in the order of the file. Nodes in cycles are left out. */
export function kahnOrder(
  names: Iterable<string>,
  edges: readonly Pick<DraftEdge, "from" | "to">[],
): readonly string[] {
  const waiting = new Map<string, number>();
  const receivers = new Map<string, string[]>();
  for (const name of names) waiting.set(name, 0);
  for (const { from, to } of edges) {
    waiting.set(to, (waiting.get(to) ?? 0) + 1);
    const list = receivers.get(from);
    if (list === undefined) receivers.set(from, [to]);
    else list.push(to);
  }
  const order = [...waiting.keys()].filter((name) => waiting.get(name) === 0);
  for (const name of order) {
    for (const to of receivers.get(name) ?? []) {
      const left = (waiting.get(to) as number) - 1;
      waiting.set(to, left);
      if (left === 0) order.push(to);
    }
  }
  return order;
}

export function checkCycles(
  nodes: ReadonlyMap<string, DraftNode>,
  edges: readonly DraftEdge[],
  isFeedback: (edge: DraftEdge) => boolean,
  problems: ProblemList,
): void {
  const forward = edges.filter((edge) => !isFeedback(edge));
  for (const cycle of cyclesOf(nodes.keys(), forward)) {
    const last = cycle.at(-1) as DraftEdge;
    const message = `cycle ${pathText(cycle)}; declare one of its edges \`feedback: true\`, or break it`;
    problems.add("GRAPH-CYCLE", last.path, message);
  }
  const stateless = edges.filter(({ from, to }) => !committed(nodes, from) && !committed(nodes, to));
  if (forward.length < edges.length) {
    for (const cycle of cyclesOf(nodes.keys(), stateless).filter((c) => c.some(isFeedback))) {
      const closing = cycle.find(isFeedback) as DraftEdge;
      problems.add(
        "GRAPH-CYCLE",
        closing.path,
        `cycle ${pathText(cycle)} has no node with state, so that nothing in it ever becomes durable`,
      );
    }
  }
  for (const edge of edges.filter(isFeedback)) {
    if (leadsTo(edge.to, edge.from, edges)) continue;
    problems.add("GRAPH-CYCLE", edge.path, `\`${edgeName(edge)}\` is declared feedback but closes no cycle`);
  }
}

function committed(nodes: ReadonlyMap<string, DraftNode>, name: string): boolean {
  const node = nodes.get(name);
  return node === undefined || node.kind === undefined || isCommitted(node);
}

function pathText(cycle: readonly DraftEdge[]): string {
  return [...cycle.map((edge) => edge.from), (cycle.at(-1) as DraftEdge).to].join(" -> ");
}

/** One cycle of each knot of nodes that feed each other, as its edges in order, starting where the file starts it. */
function cyclesOf(names: Iterable<string>, edges: readonly DraftEdge[]): readonly (readonly DraftEdge[])[] {
  const all = [...names];
  let knots = knotted(all, edges);
  const cycles: (readonly DraftEdge[])[] = [];
  for (let byFrom = outgoing(knots); byFrom.size > 0 && cycles.length < CYCLES_MAX; byFrom = outgoing(knots)) {
    const start = all.find((name) => byFrom.has(name) && shortestCycle(name, byFrom) !== undefined) as string;
    const cycle = shortestCycle(start, byFrom) as readonly DraftEdge[];
    cycles.push(cycle);
    const members = new Set(cycle.map((edge) => edge.from));
    knots = knotted(
      all,
      knots.filter(({ from, to }) => !members.has(from) && !members.has(to)),
    );
  }
  return cycles;
}

/** Edges of cycles, and of paths between cycles: what neither begins nor ends anywhere. */
function knotted(names: readonly string[], edges: readonly DraftEdge[]): readonly DraftEdge[] {
  const downwards = new Set(kahnOrder(names, edges));
  const upwards = new Set(
    kahnOrder(
      names,
      edges.map(({ from, to }) => ({ from: to, to: from })),
    ),
  );
  const free = (name: string): boolean => downwards.has(name) || upwards.has(name);
  return edges.filter(({ from, to }) => !free(from) && !free(to));
}

/** A file with more is one mistake, not many. */
const CYCLES_MAX = 20;

/** Breadth first, so that the path named is the shortest through `start`. */
function shortestCycle(start: string, byFrom: Outgoing): readonly DraftEdge[] | undefined {
  const reached = new Map<string, DraftEdge>();
  const queue = [start];
  for (const name of queue) {
    for (const edge of byFrom.get(name) ?? []) {
      if (reached.has(edge.to)) continue;
      reached.set(edge.to, edge);
      if (edge.to === start) return traced(start, reached);
      queue.push(edge.to);
    }
  }
  return undefined;
}

function traced(start: string, reached: ReadonlyMap<string, DraftEdge>): readonly DraftEdge[] {
  const path: DraftEdge[] = [];
  let edge = reached.get(start) as DraftEdge;
  for (path.unshift(edge); edge.from !== start; path.unshift(edge)) edge = reached.get(edge.from) as DraftEdge;
  return path;
}

type Outgoing = ReadonlyMap<string, readonly DraftEdge[]>;

function outgoing(edges: readonly DraftEdge[]): Outgoing {
  const byFrom = new Map<string, DraftEdge[]>();
  for (const edge of edges) {
    const list = byFrom.get(edge.from);
    if (list === undefined) byFrom.set(edge.from, [edge]);
    else list.push(edge);
  }
  return byFrom;
}

function leadsTo(start: string, goal: string, edges: readonly DraftEdge[]): boolean {
  const byFrom = outgoing(edges);
  const seen = new Set([start]);
  for (const name of seen) {
    if (name === goal) return true;
    for (const { to } of byFrom.get(name) ?? []) seen.add(to);
  }
  return false;
}
