/**
 * Draws a scene. Flow is told three ways at once: width and number for the rate, colour and glyph for how full the
 * receiver's mailbox is. What would be too small to read is left out.
 */
import { rate, short } from "../format.ts";
import type { LiveEdge, LiveNode } from "../live/live-types.ts";
import type { Box } from "./box.ts";
import type { LabelPlace, PlacedEdge } from "./edge-path.ts";
import { NODE_HEIGHT } from "./layout.ts";
import type { Scene, SceneNode } from "./scene.ts";
import { kindColour, type Theme } from "./theme.ts";
import type { View } from "./view.ts";

/** Below this zoom, no labels on edges and no second line in nodes. */
const DETAIL_ZOOM = 0.6;
/** Below this zoom, names are not drawn either. */
const NAME_ZOOM = 0.32;

export interface Numbers {
  node(name: string): LiveNode | undefined;
  edge(name: string): LiveEdge | undefined;
}

export interface Marked {
  readonly node: number;
  readonly edge: number;
}

export const NONE: Marked = { node: -1, edge: -1 };

export interface Picture {
  readonly scene: Scene;
  readonly view: View;
  readonly width: number;
  readonly height: number;
  readonly theme: Theme;
  readonly numbers: Numbers;
  readonly selected: Marked;
  readonly hovered: Marked;
  /** Milliseconds for moving light on edges; `undefined` draws them still. */
  readonly movingMs: number | undefined;
}

export type Fill = "flow" | "filling" | "full";

/** 0–60 flows, 61–85 fills, 86 and more is full. */
export function fillOf(depth: number, capacity: number): Fill {
  const share = capacity > 0 ? depth / capacity : 0;
  return share > 0.855 ? "full" : share > 0.605 ? "filling" : "flow";
}

export const GLYPH: Readonly<Record<Fill, string>> = { flow: "", filling: "▲", full: "■" };

export function paint(context: CanvasRenderingContext2D, picture: Picture): void {
  const { view, width, height, scene } = picture;
  const ratio = context.canvas.width / width;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(ratio * view.zoom, 0, 0, ratio * view.zoom, ratio * view.x, ratio * view.y);
  const shown = visible(picture);
  scene.layout.edges.forEach((edge, index) => {
    if (overlaps(edge.box, shown, 20)) paintEdge(context, picture, edge, index);
  });
  scene.layout.nodes.forEach((box, index) => {
    if (overlaps(box, shown, 12)) paintNode(context, picture, box, index);
  });
  if (view.zoom < DETAIL_ZOOM) return;
  scene.layout.edges.forEach((edge, index) => {
    if (overlaps(edge.box, shown, 60)) paintLabel(context, picture, edge, index);
  });
}

function visible({ view, width, height }: Picture): Box {
  return { x: -view.x / view.zoom, y: -view.y / view.zoom, width: width / view.zoom, height: height / view.zoom };
}

function overlaps(a: Box, b: Box, margin: number): boolean {
  return (
    a.x - margin < b.x + b.width &&
    b.x < a.x + a.width + margin &&
    a.y - margin < b.y + b.height &&
    b.y < a.y + a.height + margin
  );
}

/** 1.6 for a trickle to 11 for a million a second. */
const widthOf = (perSecond: number): number =>
  perSecond <= 0 ? 1.4 : Math.min(11, 1.6 + Math.log10(1 + perSecond) * 1.6);

function edgeColour(theme: Theme, edge: LiveEdge | undefined): string {
  if (!edge) return theme.idle;
  const fill = fillOf(edge.depth, edge.capacity);
  if (fill !== "flow") return fill === "full" ? theme.bad : theme.warn;
  return edge.rate > 0 ? theme.flow : theme.idle;
}

function paintEdge(context: CanvasRenderingContext2D, picture: Picture, placed: PlacedEdge, index: number): void {
  const { scene, theme, numbers, selected, hovered, movingMs, view } = picture;
  const live = numbers.edge(scene.edges[index]?.name ?? "");
  const width = Math.max(widthOf(live?.rate ?? 0), 1 / view.zoom);
  context.lineCap = "butt";
  if (selected.edge === index || hovered.edge === index) {
    context.strokeStyle = theme.water;
    context.globalAlpha = selected.edge === index ? 0.4 : 0.22;
    context.lineWidth = width + 9;
    context.stroke(placed.path);
    context.globalAlpha = 1;
  }
  const isIdle = !live || (live.rate <= 0 && live.depth === 0);
  context.strokeStyle = edgeColour(theme, live);
  context.lineWidth = width;
  if (isIdle && view.zoom >= NAME_ZOOM) context.setLineDash([2, 5]);
  context.stroke(placed.path);
  context.setLineDash([]);
  if (movingMs !== undefined && live && live.rate > 0) paintLight(context, theme, placed, width, live.rate, movingMs);
}

/** Light that drifts with the flow, a little faster where more flows. */
function paintLight(
  context: CanvasRenderingContext2D,
  theme: Theme,
  { path }: PlacedEdge,
  width: number,
  perSecond: number,
  movingMs: number,
): void {
  const speed = 18 + Math.log10(1 + perSecond) * 12;
  context.strokeStyle = theme.water;
  context.globalAlpha = 0.55;
  context.lineWidth = Math.max(1, width * 0.4);
  context.lineCap = "round";
  context.setLineDash([10, 34]);
  context.lineDashOffset = -((movingMs / 1000) * speed) % 44;
  context.stroke(path);
  context.setLineDash([]);
  context.lineDashOffset = 0;
  context.globalAlpha = 1;
}

function paintLabel(context: CanvasRenderingContext2D, picture: Picture, placed: PlacedEdge, index: number): void {
  const { scene, theme, numbers, selected } = picture;
  const live = numbers.edge(scene.edges[index]?.name ?? "");
  if (!live) return;
  const fill = fillOf(live.depth, live.capacity);
  if (live.rate <= 0 && fill === "flow" && selected.edge !== index) return;
  const text = `${GLYPH[fill]}${fill === "flow" ? "" : " "}${rate(live.rate)}`;
  context.font = `500 11px ${theme.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const width = context.measureText(text).width;
  const { x, y } = labelCentre(placed.label, width, widthOf(live.rate) / 2);
  context.fillStyle = theme.bg;
  context.globalAlpha = 0.82;
  context.beginPath();
  context.roundRect(x - width / 2 - 3, y - 8, width + 6, 15, 4);
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = fill === "full" ? theme.badInk : fill === "filling" ? theme.warnInk : theme.ink;
  context.fillText(text, x, y);
}

function labelCentre(
  { x, y, align, side }: LabelPlace,
  width: number,
  half: number,
): { readonly x: number; readonly y: number } {
  const away = side === "level" ? 0 : (half + 11) * (side === "above" ? -1 : 1);
  return { x: align === "center" ? x : align === "end" ? x - width / 2 : x + width / 2, y: y + away };
}

function borderOf(theme: Theme, live: LiveNode | undefined): string {
  if (live?.state === "parked") return theme.bad;
  if (live?.state === "backing-off") return theme.warn;
  const fill = live ? fillOf(live.fill, 1) : "flow";
  return fill === "full" ? theme.bad : fill === "filling" ? theme.warn : theme.line;
}

/** Too small for gauges: the box itself tells how full it is. */
function overviewColour(theme: Theme, live: LiveNode | undefined): string {
  const border = borderOf(theme, live);
  return border === theme.line ? theme.idle : border;
}

function paintNode(context: CanvasRenderingContext2D, picture: Picture, box: Box, index: number): void {
  const { scene, theme, numbers, selected, hovered, view } = picture;
  const node = scene.nodes[index] as SceneNode;
  const live = numbers.node(node.name);
  const isSelected = selected.node === index;
  const isDetailed = view.zoom >= DETAIL_ZOOM;
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, 11);
  if (isDetailed) {
    context.shadowColor = theme.shadow;
    context.shadowBlur = 12 * view.zoom;
    context.shadowOffsetY = 3 * view.zoom;
  }
  context.fillStyle = view.zoom < NAME_ZOOM ? overviewColour(theme, live) : theme.node;
  context.fill();
  context.shadowColor = "transparent";
  context.lineWidth = Math.max(
    isSelected ? 2 : hovered.node === index ? 1.6 : 1.1,
    (isSelected ? 2.5 : 0.8) / view.zoom,
  );
  context.strokeStyle = isSelected || hovered.node === index ? theme.water : borderOf(theme, live);
  context.stroke();
  context.fillStyle = kindColour(theme, node.kind);
  context.beginPath();
  context.roundRect(box.x, box.y + 11, Math.max(4, 2 / view.zoom), box.height - 22, [0, 3, 3, 0]);
  context.fill();
  if (view.zoom < NAME_ZOOM) return;
  paintText(context, theme, node, live, box, isDetailed);
  if (live && isDetailed) paintGauge(context, theme, live, box);
  if (live && live.deadLettered > 0) paintBadge(context, theme, short(live.deadLettered), box);
}

function paintText(
  context: CanvasRenderingContext2D,
  theme: Theme,
  node: SceneNode,
  live: LiveNode | undefined,
  box: Box,
  isDetailed: boolean,
): void {
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillStyle = theme.ink;
  context.font = `600 12.5px ${theme.sans}`;
  const hasGauge = isDetailed && (live?.capacity ?? 0) > 0;
  context.fillText(
    cut(context, node.name, box.width - (hasGauge ? 62 : 26)),
    box.x + 15,
    box.y + (isDetailed ? 24 : NODE_HEIGHT / 2 + 4),
  );
  if (!isDetailed) return;
  const state = stateText(live);
  context.fillStyle = state === "" ? theme.mute : live?.state === "parked" ? theme.badInk : theme.warnInk;
  context.font = `400 11px ${theme.sans}`;
  context.fillText(cut(context, state === "" ? node.subline : state, box.width - 26), box.x + 15, box.y + 42);
}

/** What is worth more than the kind of the node: that it does not run. */
function stateText(live: LiveNode | undefined): string {
  switch (live?.state) {
    case "parked":
      return "■ parked";
    case "backing-off":
      return "▲ backing off";
    case "stopped":
      return "stopped";
    default:
      return "";
  }
}

/** How full the mailbox is, at the top right. */
function paintGauge(context: CanvasRenderingContext2D, theme: Theme, live: LiveNode, box: Box): void {
  if (live.capacity === 0) return;
  const fill = fillOf(live.fill, 1);
  const width = 32;
  const x = box.x + box.width - width - 12;
  const y = box.y + 17;
  context.fillStyle = theme.line;
  context.beginPath();
  context.roundRect(x, y, width, 5, 2.5);
  context.fill();
  if (live.fill <= 0) return;
  context.fillStyle = fill === "full" ? theme.bad : fill === "filling" ? theme.warn : theme.flow;
  context.beginPath();
  context.roundRect(x, y, Math.max(3, width * live.fill), 5, 2.5);
  context.fill();
}

function paintBadge(context: CanvasRenderingContext2D, theme: Theme, text: string, box: Box): void {
  context.font = `600 9.5px ${theme.mono}`;
  const width = Math.max(16, context.measureText(text).width + 9);
  const x = box.x + box.width - width / 2 - 4;
  context.fillStyle = theme.bad;
  context.beginPath();
  context.roundRect(x - width / 2, box.y - 8, width, 16, 8);
  context.fill();
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, x, box.y + 0.5);
}

const cuts = new Map<string, string>();

/** The text, shortened with an ellipsis where it does not fit. */
function cut(context: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${context.font}|${Math.round(width)}|${text}`;
  const known = cuts.get(key);
  if (known !== undefined) return known;
  let kept = text;
  while (kept.length > 1 && context.measureText(kept === text ? kept : `${kept}…`).width > width)
    kept = kept.slice(0, -1);
  const result = kept === text ? text : `${kept.trimEnd()}…`;
  if (cuts.size > 5000) cuts.clear();
  cuts.set(key, result);
  return result;
}
