/**
 * Which pure nodes run as one: chains in which each node's only output is the next node's only input, over a local edge
 * without settings of its own.
 */

import { isFusible } from "../actor/fuse.ts";
import type { OutEdge } from "../actor/link.ts";
import { type NextPath, nextPathOf } from "../actor/next-path.ts";
import { groupBy } from "./group-by.ts";
import type { GraphProgram, ProgramEdge, ProgramNode, PureNode } from "./program.ts";

/** Nodes of a chain in order, at least two. */
export type Chain = readonly (ProgramNode & PureNode)[];

export function chainsOf(program: GraphProgram): readonly Chain[] {
  const fusible = new Map<string, ProgramNode & PureNode>();
  for (const node of program.nodes) {
    if (node.role === "pure" && (node.mailbox?.overflow ?? "block") === "block" && isFusible(node.make()))
      fusible.set(node.name, node);
  }
  const leaving = groupBy(program.edges, (edge) => edge.from);
  const entering = groupBy(program.edges, (edge) => edge.to);
  const next = new Map<string, string>();
  for (const name of fusible.keys()) {
    const successor = onlySuccessor(leaving.get(name) ?? [], entering);
    if (successor !== undefined && fusible.has(successor)) next.set(name, successor);
  }
  const inner = new Set(next.values());
  const chains: (ProgramNode & PureNode)[][] = [];
  for (const name of next.keys()) {
    if (inner.has(name)) continue;
    const chain: (ProgramNode & PureNode)[] = [];
    for (let at: string | undefined = name; at !== undefined; at = next.get(at))
      chain.push(fusible.get(at) as ProgramNode & PureNode);
    chains.push(chain);
  }
  return chains;
}

function onlySuccessor(
  out: readonly ProgramEdge[],
  entering: ReadonlyMap<string, readonly ProgramEdge[]>,
): string | undefined {
  const edge = out[0];
  if (out.length !== 1 || edge === undefined || edge.feedback === true || (edge.via ?? "local") !== "local")
    return undefined;
  return entering.get(edge.to)?.length === 1 ? edge.to : undefined;
}

/** Edges that leave the end of a chain, as seen from its head: paths of the inner edges are passed through. */
export function edgesAcross(inner: readonly OutEdge[], last: readonly OutEdge[]): readonly OutEdge[] {
  return last.map((edge) => ({ ...edge, nextPath: pathsAcross(inner, edge) }));
}

function pathsAcross(inner: readonly OutEdge[], last: OutEdge): NextPath {
  const paths: [before: number, after: number][] = [];
  for (const before of inner[0]?.nextPath.keys() ?? []) {
    let at: number | undefined = before;
    for (const edge of inner) at = at === undefined ? undefined : edge.nextPath.get(at);
    const after = at === undefined ? undefined : last.nextPath.get(at);
    if (after !== undefined) paths.push([before, after]);
  }
  return nextPathOf(paths);
}
