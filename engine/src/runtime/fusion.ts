/**
 * Which pure nodes run as one: chains in which each node's only output is the next node's only input, over a local edge
 * without settings of its own.
 */
import type { OutEdge } from "../actor/link.ts";
import { isFusible } from "../actor/fuse.ts";
import type { GraphProgram, ProgramNode, PureNode } from "./program.ts";

/** Nodes of a chain in order, at least two. */
export type Chain = readonly (ProgramNode & PureNode)[];

export function chainsOf(program: GraphProgram): readonly Chain[] {
  const fusible = new Map<string, ProgramNode & PureNode>();
  for (const node of program.nodes) {
    if (node.role === "pure" && (node.mailbox?.overflow ?? "block") === "block" && isFusible(node.make())) fusible.set(node.name, node);
  }
  const next = new Map<string, string>();
  for (const name of fusible.keys()) {
    const successor = onlySuccessor(program, name);
    if (successor !== undefined && fusible.has(successor)) next.set(name, successor);
  }
  const inner = new Set(next.values());
  const chains: (ProgramNode & PureNode)[][] = [];
  for (const name of next.keys()) {
    if (inner.has(name)) continue;
    const chain: (ProgramNode & PureNode)[] = [];
    for (let at: string | undefined = name; at !== undefined; at = next.get(at)) chain.push(fusible.get(at) as ProgramNode & PureNode);
    chains.push(chain);
  }
  return chains;
}

function onlySuccessor(program: GraphProgram, node: string): string | undefined {
  const out = program.edges.filter((edge) => edge.from === node);
  const edge = out[0];
  if (out.length !== 1 || edge === undefined || edge.feedback === true || (edge.via ?? "local") !== "local") return undefined;
  return program.edges.filter((e) => e.to === edge.to).length === 1 ? edge.to : undefined;
}

/** Edges that leave the end of a chain, as seen from its head: paths of the inner edges are passed through. */
export function edgesAcross(inner: readonly OutEdge[], last: readonly OutEdge[]): readonly OutEdge[] {
  return last.map((edge) => ({ ...edge, nextPath: edge.nextPath.map((_, path) => across(inner, edge, path)) }));
}

function across(inner: readonly OutEdge[], last: OutEdge, path: number): number {
  let at = path;
  for (const edge of inner) {
    at = edge.nextPath[at] as number;
    if (at < 0) return -1;
  }
  return last.nextPath[at] as number;
}
