/** A graph ready to be drawn: its topology and where everything is. */
import type { GraphStatus } from "../api.ts";
import { sublineOf } from "../node-source.ts";
import { type Layout, layoutOf } from "./layout.ts";
import type { Room } from "./rows.ts";

export interface SceneNode {
  readonly name: string;
  readonly kind: string;
  readonly guarantee: string;
  /** What it does, as its graph file says. */
  readonly subline: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export interface SceneEdge {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface Scene {
  readonly graph: string;
  readonly revision: number;
  readonly nodes: readonly SceneNode[];
  readonly edges: readonly SceneEdge[];
  readonly layout: Layout;
}

const WIDTH_MIN = 118;
const WIDTH_MAX = 178;
const PADDING = 30;

/** `measure` gives the width of the name and of the line below it. */
export function sceneOf(
  status: GraphStatus,
  source: string,
  measure: (name: string, subline: string) => number,
  room: Room,
): Scene {
  const indexOf = new Map(status.nodes.map(({ node }, index) => [node, index]));
  const edges = status.edges.flatMap(({ edge, from, to }) => {
    const [a, b] = [indexOf.get(from), indexOf.get(to)];
    return a === undefined || b === undefined ? [] : [{ name: edge, from: a, to: b }];
  });
  const nodes = status.nodes.map(({ node, kind, guarantee = "" }, index) => ({
    name: node,
    kind,
    guarantee,
    subline: sublineOf(source, node, kind),
    inputs: edges.flatMap((edge, i) => (edge.to === index ? [i] : [])),
    outputs: edges.flatMap((edge, i) => (edge.from === index ? [i] : [])),
  }));
  const widths = nodes.map(({ name, subline }) =>
    Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, Math.ceil(measure(name, subline)) + PADDING)),
  );
  return { graph: status.graph, revision: status.revision, nodes, edges, layout: layoutOf(widths, edges, room) };
}
