/**
 * Layers of a directed graph, after Sugiyama: longest paths give the layer, places in a layer are ordered by the mean of
 * their neighbours. An edge over several layers passes through a place in each of them, so that it bends around nodes.
 */
export interface Link {
  readonly from: number;
  readonly to: number;
}

/** A node, or the place where a long edge passes a layer. */
export interface Place {
  /** Index of the node, -1 where an edge passes. */
  readonly node: number;
  readonly layer: number;
  readonly before: number[];
  readonly after: number[];
}

export interface Layered {
  readonly places: readonly Place[];
  /** Indexes of places by layer, from top to bottom. */
  readonly layers: readonly (readonly number[])[];
  /** The places along each link, from its sender to its receiver. */
  readonly routes: readonly (readonly number[])[];
}

const SWEEPS = 14;

export function layered(nodeCount: number, links: readonly Link[]): Layered {
  const forward = withoutCycles(nodeCount, links);
  const layerOf = layersOf(nodeCount, forward);
  const places: Place[] = layerOf.map((layer, node) => ({ node, layer, before: [], after: [] }));
  const routes = forward.map(({ from, to }, index) => {
    const route = [from, ...passages(places, layerOf[from] as number, layerOf[to] as number), to];
    for (let i = 1; i < route.length; i++) join(places, route[i - 1] as number, route[i] as number);
    return links[index]?.from === from ? route : route.reverse();
  });
  return { places, layers: ordered(places), routes };
}

function passages(places: Place[], from: number, to: number): number[] {
  const passed: number[] = [];
  for (let layer = from + 1; layer < to; layer++)
    passed.push(places.push({ node: -1, layer, before: [], after: [] }) - 1);
  return passed;
}

function join(places: readonly Place[], from: number, to: number): void {
  places[from]?.after.push(to);
  places[to]?.before.push(from);
}

/** Feedback is laid out against its direction. */
function withoutCycles(nodeCount: number, links: readonly Link[]): readonly Link[] {
  const out: number[][] = Array.from({ length: nodeCount }, () => []);
  links.forEach(({ from }, index) => {
    out[from]?.push(index);
  });
  const state = new Uint8Array(nodeCount);
  const turned = new Set<number>();
  for (let root = 0; root < nodeCount; root++) {
    const stack: { node: number; next: number }[] = state[root] === 0 ? [{ node: root, next: 0 }] : [];
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as { node: number; next: number };
      state[top.node] = 1;
      const index = out[top.node]?.[top.next++];
      if (index === undefined) {
        state[top.node] = 2;
        stack.pop();
        continue;
      }
      const to = links[index]?.to as number;
      if (state[to] === 1) turned.add(index);
      else if (state[to] === 0) stack.push({ node: to, next: 0 });
    }
  }
  return links.map((link, index) => (turned.has(index) ? { from: link.to, to: link.from } : link));
}

/** Longest path from a source; a source that feeds only later layers moves next to its first receiver. */
function layersOf(nodeCount: number, links: readonly Link[]): number[] {
  const layer = new Array<number>(nodeCount).fill(0);
  const inputs = new Array<number>(nodeCount).fill(0);
  const out: number[][] = Array.from({ length: nodeCount }, () => []);
  for (const { from, to } of links) {
    if (from === to) continue;
    out[from]?.push(to);
    inputs[to] = (inputs[to] as number) + 1;
  }
  const isSource = inputs.map((count) => count === 0);
  const ready = [...inputs.keys()].filter((node) => inputs[node] === 0);
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    for (const to of out[node] as number[]) {
      layer[to] = Math.max(layer[to] as number, (layer[node] as number) + 1);
      inputs[to] = (inputs[to] as number) - 1;
      if (inputs[to] === 0) ready.push(to);
    }
  }
  return layer.map((own, node) => {
    const receivers = out[node] as number[];
    if (!isSource[node] || receivers.length === 0) return own;
    return Math.min(...receivers.map((to) => layer[to] as number)) - 1;
  });
}

function ordered(places: readonly Place[]): number[][] {
  const layers: number[][] = [];
  places.forEach(({ layer }, index) => {
    layers[layer] ??= [];
    layers[layer].push(index);
  });
  for (let i = 0; i < layers.length; i++) layers[i] ??= [];
  const rank = new Array<number>(places.length).fill(0);
  const settle = (layer: readonly number[]): void =>
    layer.forEach((place, index) => {
      rank[place] = index;
    });
  layers.forEach(settle);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      const mean = new Map(layer.map((place) => [place, meanRank(places[place] as Place, isDown, rank)]));
      layer.sort((a, b) => (mean.get(a) as number) - (mean.get(b) as number));
      settle(layer);
    }
  }
  return layers;
}

function meanRank(place: Place, isDown: boolean, rank: readonly number[]): number {
  const neighbours = isDown ? place.before : place.after;
  if (neighbours.length === 0) return rank[(isDown ? place.after : place.before)[0] ?? 0] ?? 0;
  return neighbours.reduce((sum, neighbour) => sum + (rank[neighbour] as number), 0) / neighbours.length;
}
