/**
 * A long chain is folded into rows, as text is, when that shows it larger. Rows after the first are set to the right, so
 * that the edges between rows are short.
 */
import type { Layered } from "./layers.ts";

export interface Extent {
  readonly from: number;
  readonly to: number;
}

/** Where each row begins, and how far its layers move. */
export interface Rows {
  readonly rowOf: readonly number[];
  readonly shiftX: readonly number[];
  readonly shiftY: readonly number[];
  readonly width: number;
  readonly height: number;
}

export interface Room {
  readonly width: number;
  readonly height: number;
}

const ROW_GAP = 74;
const FOLDED_NODES_MAX = 60;
const ZOOM_MAX = 1.12;
/** Folding must show the graph this much larger to be worth it. */
const GAIN = 1.1;

export function rowsOf(
  graph: Layered,
  columns: readonly Extent[],
  heights: readonly Extent[],
  room: Room | undefined,
): Rows {
  let best = arrange([], columns, heights);
  if (!room || graph.places.length > FOLDED_NODES_MAX) return best;
  const cuts = cutsOf(graph);
  for (const starts of [...cuts.map((cut) => [cut]), ...pairs(cuts)]) {
    const rows = arrange(starts, columns, heights);
    if (zoomOf(rows, room) > zoomOf(best, room) * GAIN) best = rows;
  }
  return best;
}

const zoomOf = ({ width, height }: Rows, room: Room): number =>
  Math.min(ZOOM_MAX, room.width / width, room.height / height);

/** Layers before which a row may begin: one edge leads to them, from the layer before. Later ones first. */
function cutsOf({ layers, places }: Layered): number[] {
  const cuts: number[] = [];
  for (let layer = layers.length - 1; layer > 0; layer--) {
    const entering = (layers[layer] ?? []).flatMap((place) =>
      (places[place]?.before ?? []).map((from) => [place, from] as const),
    );
    const isClean = entering.every(([place, from]) => places[place]?.node !== -1 && places[from]?.node !== -1);
    if (isClean && entering.length === 1) cuts.push(layer);
  }
  return cuts;
}

function pairs(cuts: readonly number[]): number[][] {
  return cuts.flatMap((second, i) => cuts.slice(i + 1).map((first) => [first, second]));
}

function arrange(starts: readonly number[], columns: readonly Extent[], heights: readonly Extent[]): Rows {
  const bounds = [0, ...starts, columns.length];
  const rows = bounds.slice(1).map((end, row) => {
    const own = { first: bounds[row] as number, last: end - 1 };
    const tall = heights.slice(own.first, end);
    return {
      from: columns[own.first]?.from ?? 0,
      width: (columns[own.last]?.to ?? 0) - (columns[own.first]?.from ?? 0),
      top: Math.min(...tall.map(({ from }) => from)),
      bottom: Math.max(...tall.map(({ to }) => to)),
    };
  });
  const width = Math.max(0, ...rows.map((row) => row.width));
  let y = 0;
  const shifts = rows.map((row, index) => {
    const shift = { x: (index === 0 ? 0 : width - row.width) - row.from, y: y - row.top };
    y += row.bottom - row.top + ROW_GAP;
    return shift;
  });
  const rowOf = columns.map((_, layer) => starts.filter((start) => start <= layer).length);
  return {
    rowOf,
    shiftX: rowOf.map((row) => shifts[row]?.x ?? 0),
    shiftY: rowOf.map((row) => shifts[row]?.y ?? 0),
    width,
    height: Math.max(0, y - ROW_GAP),
  };
}
