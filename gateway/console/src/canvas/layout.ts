/** Where nodes and edges of a graph are on the plane. Made once per revision. */
import type { Box, NodePair } from "./box.ts";
import { edgePaths, type PlacedEdge } from "./edge-path.ts";
import { type Layered, layered, type Place } from "./layers.ts";
import { type Extent, type Room, rowsOf } from "./rows.ts";
import { spread } from "./spread.ts";

export interface Layout {
  readonly nodes: readonly Box[];
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
}

export const NODE_HEIGHT = 56;
const PASSAGE_HEIGHT = 14;
const GAP_X = 78;
/** Between layers whose edges part or meet, so that labels find room beside them. */
const GAP_X_SLOPED = 108;
const GAP_Y = 26;
const ROUNDS = 24;

/** `room` is what may be seen at once; a long graph is folded to it. */
export function layoutOf(widths: readonly number[], links: readonly NodePair[], room?: Room): Layout {
  const graph = layered(widths.length, links);
  const middle = middles(graph);
  const columns = columnsOf(graph, widths, middle);
  const heights = graph.layers.map((layer) => extentOf(layer, graph, middle));
  const rows = rowsOf(graph, columns, heights, room);
  const y = (place: number): number => (middle[place] as number) + (rows.shiftY[layerOf(graph, place)] as number);
  const nodes = widths.map((width, node) => {
    const layer = layerOf(graph, node);
    const { from, to } = columns[layer] as Extent;
    return {
      x: (from + to - width) / 2 + (rows.shiftX[layer] as number),
      y: y(node) - NODE_HEIGHT / 2,
      width,
      height: NODE_HEIGHT,
    };
  });
  const spanOf = (place: number): { from: number; to: number; y: number; row: number } => {
    const layer = layerOf(graph, place);
    const shift = rows.shiftX[layer] as number;
    const { from, to } = columns[layer] as Extent;
    return { from: from + shift, to: to + shift, y: y(place), row: rows.rowOf[layer] as number };
  };
  return { nodes, edges: edgePaths(graph.routes, links, nodes, spanOf), width: rows.width, height: rows.height };
}

const layerOf = ({ places }: Layered, place: number): number => places[place]?.layer as number;

const heightOf = (place: Place | undefined): number => (place?.node === -1 ? PASSAGE_HEIGHT : NODE_HEIGHT);

/** Columns are as wide as their widest node; between crowded ones edges get more room. */
function columnsOf({ layers, places }: Layered, widths: readonly number[], middle: readonly number[]): Extent[] {
  let x = 0;
  return layers.map((layer) => {
    const width = Math.max(0, ...layer.map((place) => widths[places[place]?.node ?? -1] ?? 0));
    const from = x;
    const isSloped = layer.some((place) =>
      places[place]?.after.some((to) => Math.abs((middle[to] as number) - (middle[place] as number)) > 4),
    );
    x += width + (isSloped ? GAP_X_SLOPED : GAP_X) + Math.min(120, Math.max(0, layer.length - 6) * 6);
    return { from, to: from + width };
  });
}

function extentOf(layer: readonly number[], { places }: Layered, middle: readonly number[]): Extent {
  const halves = layer.map((place) => ({ y: middle[place] as number, half: heightOf(places[place]) / 2 }));
  return {
    from: Math.min(...halves.map(({ y, half }) => y - half)),
    to: Math.max(...halves.map(({ y, half }) => y + half)),
  };
}

/** Vertical centres of all places: each moves towards its neighbours as far as its layer lets it. */
function middles({ layers, places }: Layered): number[] {
  const middle = new Array<number>(places.length).fill(0);
  const gaps = layers.map((layer) =>
    layer.slice(1).map((place, i) => (heightOf(places[place]) + heightOf(places[layer[i] as number])) / 2 + GAP_Y),
  );
  const settle = (layer: readonly number[], index: number, wishes: readonly number[]): void =>
    spread(wishes, gaps[index] as number[]).forEach((y, i) => {
      middle[layer[i] as number] = y;
    });
  for (const [index, layer] of layers.entries())
    settle(
      layer,
      index,
      layer.map(() => 0),
    );
  for (let round = 0; round < ROUNDS; round++) {
    const isDown = round % 2 === 0;
    const indexes = [...layers.keys()];
    for (const index of isDown ? indexes : indexes.reverse()) {
      const layer = layers[index] as readonly number[];
      settle(
        layer,
        index,
        layer.map((place) => wish(places[place] as Place, middle, place, isDown)),
      );
    }
  }
  return middle;
}

function wish({ before, after }: Place, middle: readonly number[], self: number, isDown: boolean): number {
  const near = isDown ? before : after;
  const neighbours = near.length > 0 ? near : isDown ? after : before;
  if (neighbours.length === 0) return middle[self] as number;
  return neighbours.reduce((sum, neighbour) => sum + (middle[neighbour] as number), 0) / neighbours.length;
}
