import { type KeyboardEvent, type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import type { GraphStatus } from "../api.ts";
import { arrow } from "../format.ts";
import type { Selection } from "../selection.ts";
import { type Marked, NONE } from "./painter.ts";
import { type Scene, sceneOf } from "./scene.ts";
import { Stage } from "./stage.ts";
import { readTheme } from "./theme.ts";
import type { Inset } from "./view.ts";

interface GraphCanvasProps {
  readonly status: GraphStatus;
  readonly source: string;
  readonly selection: Selection;
  readonly onSelect: (selection: Selection) => void;
}

/** Room for the toolbar above and the legend below. */
const INSET = { top: 84, right: 36, bottom: 150, left: 36 };
/** On a narrow page they are above and below the canvas. */
const INSET_NARROW = { top: 30, right: 18, bottom: 24, left: 18 };
/** Small changes of the window do not fold the graph anew. */
const ROOM_STEP = 60;

/** The graph as a picture. One element, whatever its size; the table view says the same in text. */
export function GraphCanvas({ status, source, selection, onSelect }: GraphCanvasProps): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const stage = useRef<Stage>(undefined);
  const [room, setRoom] = useState({ width: innerWidth - 500, height: innerHeight - 420 });
  const scene = useMemo(() => sceneOf(status, source, measurer(), room), [status, source, room]);
  const selecting = useRef<(marked: Marked) => void>(() => undefined);
  selecting.current = ({ node, edge }) => {
    const [nodeName, edgeName] = [scene.nodes[node]?.name, scene.edges[edge]?.name];
    onSelect(nodeName !== undefined ? { node: nodeName } : edgeName !== undefined ? { edge: edgeName } : {});
  };
  useEffect(() => {
    if (!canvas.current) return;
    const onResize = (width: number, height: number): void => {
      const next = {
        width: stepped(width - inset().left - inset().right),
        height: stepped(height - inset().top - inset().bottom),
      };
      setRoom((now) => (now.width === next.width && now.height === next.height ? now : next));
    };
    const opened = new Stage(canvas.current, { onSelect: (marked) => selecting.current(marked), onResize });
    stage.current = opened;
    return () => opened.close();
  }, []);
  useEffect(() => stage.current?.show(scene, inset()), [scene]);
  const marked = useMemo(() => markedOf(scene, selection), [scene, selection]);
  useEffect(() => stage.current?.mark(marked), [marked]);

  const onKey = (event: KeyboardEvent): void => {
    const zoomed = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
    if (zoomed !== undefined) stage.current?.zoom(zoomed);
    else if (event.key === "0") stage.current?.fit();
    else if (event.key === "Escape") onSelect({});
    else {
      const next = neighbour(scene, marked, event.key);
      if (!next) return;
      selecting.current(next);
    }
    event.preventDefault();
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: arrow keys move through the picture. */}
      <canvas
        ref={canvas}
        className="canvas"
        tabIndex={0}
        role="application"
        aria-label={`Graph ${status.graph}. ${described(scene, marked)} Arrow keys move between nodes and edges, plus and minus zoom, 0 shows everything. The table view says the same in text.`}
        onKeyDown={onKey}
      />
      <div className="zoom">
        <button type="button" className="button" aria-label="Zoom in" onClick={() => stage.current?.zoom(1.25)}>
          +
        </button>
        <button type="button" className="button" aria-label="Zoom out" onClick={() => stage.current?.zoom(0.8)}>
          −
        </button>
        <button type="button" className="button" aria-label="Show everything" onClick={() => stage.current?.fit()}>
          ⤢
        </button>
      </div>
    </>
  );
}

const inset = (): Inset => (matchMedia("(max-width: 1020px)").matches ? INSET_NARROW : INSET);

const stepped = (length: number): number => Math.max(ROOM_STEP, Math.floor(length / ROOM_STEP) * ROOM_STEP);

function measurer(): (name: string, subline: string) => number {
  const context = document.createElement("canvas").getContext("2d");
  const { sans } = readTheme();
  return (name, subline) => {
    if (!context) return 100;
    context.font = `600 12.5px ${sans}`;
    const first = context.measureText(name).width + 38;
    context.font = `400 11px ${sans}`;
    return Math.max(first, context.measureText(subline).width);
  };
}

function markedOf({ nodes, edges }: Scene, { node, edge }: Selection): Marked {
  if (node !== undefined) return { node: nodes.findIndex(({ name }) => name === node), edge: -1 };
  if (edge !== undefined) return { node: -1, edge: edges.findIndex(({ name }) => name === edge) };
  return NONE;
}

function described({ nodes, edges }: Scene, marked: Marked): string {
  const [node, edge] = [nodes[marked.node], edges[marked.edge]];
  if (node) return `Selected: node ${node.name}, ${node.kind}.`;
  return edge ? `Selected: edge ${arrow(edge.name)}.` : `${nodes.length} nodes, ${edges.length} edges.`;
}

/** Right and left follow the flow from node to edge to node; up and down go to the next node above or below. */
function neighbour(scene: Scene, { node, edge }: Marked, key: string): Marked | undefined {
  const isForward = key === "ArrowRight";
  if (key === "ArrowUp" || key === "ArrowDown") return nextInColumn(scene, node, key === "ArrowDown");
  if (key !== "ArrowRight" && key !== "ArrowLeft") return undefined;
  const onEdge = scene.edges[edge];
  if (onEdge) return { node: isForward ? onEdge.to : onEdge.from, edge: -1 };
  const onNode = scene.nodes[node];
  if (!onNode) return scene.nodes.length > 0 ? { node: 0, edge: -1 } : undefined;
  const along = (isForward ? onNode.outputs : onNode.inputs)[0];
  return along === undefined ? undefined : { node: -1, edge: along };
}

function nextInColumn({ layout, nodes }: Scene, node: number, isDown: boolean): Marked | undefined {
  const here = layout.nodes[node];
  if (!here) return nodes.length > 0 ? { node: 0, edge: -1 } : undefined;
  let best = -1;
  let bestScore = Number.POSITIVE_INFINITY;
  layout.nodes.forEach((box, index) => {
    const dy = (box.y - here.y) * (isDown ? 1 : -1);
    const score = dy + Math.abs(box.x + box.width / 2 - here.x - here.width / 2) * 2;
    if (dy > 1 && score < bestScore) [best, bestScore] = [index, score];
  });
  return best < 0 ? undefined : { node: best, edge: -1 };
}
