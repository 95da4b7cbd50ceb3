/** The curves of edges, and where their labels stand. */
import type { Box, NodePair } from "./box.ts";

export interface PlacedEdge {
  readonly path: Path2D;
  readonly box: Box;
  readonly label: LabelPlace;
}

/** A place at the edge's line, and on which side of it a label stands free. */
export interface LabelPlace {
  readonly x: number;
  readonly y: number;
  /** The label begins, ends or is centred at `x`. */
  readonly align: "start" | "end" | "center";
  readonly side: "above" | "below" | "level";
}

/** The column of a place, its centre, and its row. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly y: number;
  readonly row: number;
}

interface Spot {
  readonly x: number;
  readonly y: number;
}

const PORT_GAP = 12;
/** Edges that rise or fall less than this are as good as level. */
const SLOPE_MIN = 14;
const LABEL_GAP = 9;

export function edgePaths(
  routes: readonly (readonly number[])[],
  links: readonly NodePair[],
  nodes: readonly Box[],
  spanOf: (place: number) => Span,
): PlacedEdge[] {
  const far = (index: number, end: 1 | -2): number => spanOf(routes[index]?.at(end) as number).y;
  const starts = ports(
    links.map(({ from }) => from),
    nodes,
    (index) => far(index, 1),
  );
  const ends = ports(
    links.map(({ to }) => to),
    nodes,
    (index) => far(index, -2),
  );
  const fans = repeated(links.map(({ from }) => from));
  return routes.map((route, index) => {
    const from = nodes[links[index]?.from as number] as Box;
    const to = nodes[links[index]?.to as number] as Box;
    const [first, last] = [spanOf(route[0] as number), spanOf(route.at(-1) as number)];
    if (first.row < last.row) return between(from, to);
    if (to.x <= from.x) return feedback(from, to);
    const points = [
      { x: from.x + from.width, y: middleOf(from) + (starts[index] as number) },
      ...route.slice(1, -1).flatMap((place) => {
        const span = spanOf(place);
        return [
          { x: span.from, y: span.y },
          { x: span.to, y: span.y },
        ];
      }),
      { x: to.x, y: middleOf(to) + (ends[index] as number) },
    ];
    return curve(points, fans.has(links[index]?.from as number));
  });
}

const middleOf = ({ y, height }: Box): number => y + height / 2;

/** Offsets from the middle of a node for the edges at one of its sides, ordered as their other ends are. */
function ports(ownerOf: readonly number[], nodes: readonly Box[], farOf: (index: number) => number): number[] {
  const offsets = new Array<number>(ownerOf.length).fill(0);
  const groups = new Map<number, number[]>();
  for (const [index, owner] of ownerOf.entries()) {
    const group = groups.get(owner);
    if (group) group.push(index);
    else groups.set(owner, [index]);
  }
  for (const [owner, group] of groups) {
    const gap = Math.min(PORT_GAP, ((nodes[owner]?.height ?? 0) - 16) / group.length);
    group.sort((a, b) => farOf(a) - farOf(b));
    for (const [place, index] of group.entries()) offsets[index] = (place - (group.length - 1) / 2) * gap;
  }
  return offsets;
}

function repeated(nodes: readonly number[]): ReadonlySet<number> {
  const seen = new Set<number>();
  return new Set(nodes.filter((node) => seen.size === seen.add(node).size));
}

/** Where several edges part, labels stand at their far ends; where they meet, at their near ones; away from the curve. */
function labelOf(points: readonly Spot[], isFan: boolean): LabelPlace {
  const [first, second] = [points[0] as Spot, points[1] as Spot];
  const [before, last] = [points.at(-2) as Spot, points.at(-1) as Spot];
  const rise = isFan ? before.y - last.y : first.y - second.y;
  if (Math.abs(rise) < SLOPE_MIN)
    return { x: (first.x + second.x) / 2, y: (first.y + second.y) / 2, align: "center", side: "above" };
  if (isFan) return { x: last.x - LABEL_GAP, y: last.y, align: "end", side: rise > 0 ? "above" : "below" };
  return { x: first.x + LABEL_GAP, y: first.y, align: "start", side: rise > 0 ? "below" : "above" };
}

function curve(points: readonly Spot[], isFan: boolean): PlacedEdge {
  const path = new Path2D();
  const first = points[0] as Spot;
  path.moveTo(first.x, first.y);
  for (let i = 1; i < points.length; i++) {
    const a = points[i - 1] as Spot;
    const b = points[i] as Spot;
    const middle = (a.x + b.x) / 2;
    if (a.y === b.y) path.lineTo(b.x, b.y);
    else path.bezierCurveTo(middle, a.y, middle, b.y, b.x, b.y);
  }
  return { path, box: around(points), label: labelOf(points, isFan) };
}

/** An edge to the row below leaves at the bottom and arrives at the top. */
function between(from: Box, to: Box): PlacedEdge {
  const a = { x: from.x + from.width / 2, y: from.y + from.height };
  const b = { x: to.x + to.width / 2, y: to.y };
  const middle = (a.y + b.y) / 2;
  const path = new Path2D();
  path.moveTo(a.x, a.y);
  path.bezierCurveTo(a.x, middle + 10, b.x, middle - 10, b.x, b.y);
  const label: LabelPlace =
    Math.abs(a.x - b.x) < 40
      ? { x: (a.x + b.x) / 2 + LABEL_GAP, y: middle, align: "start", side: "level" }
      : { x: (a.x + b.x) / 2, y: middle, align: "center", side: "above" };
  return { path, box: around([a, b]), label };
}

/** An edge back to an earlier column, or to its own node, runs below. */
function feedback(from: Box, to: Box): PlacedEdge {
  const start = { x: from.x + from.width, y: middleOf(from) };
  const end = { x: to.x, y: middleOf(to) };
  const below = Math.max(from.y + from.height, to.y + to.height) + 34;
  const path = new Path2D();
  path.moveTo(start.x, start.y);
  path.bezierCurveTo(start.x + 50, start.y, start.x + 50, below, start.x, below);
  path.lineTo(end.x, below);
  path.bezierCurveTo(end.x - 50, below, end.x - 50, end.y, end.x, end.y);
  const box = around([start, end, { x: start.x + 50, y: below }, { x: end.x - 50, y: below }]);
  return { path, box, label: { x: (start.x + end.x) / 2, y: below, align: "center", side: "above" } };
}

function around(points: readonly Spot[]): Box {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const x = Math.min(...xs);
  const y = Math.min(...ys);
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}
