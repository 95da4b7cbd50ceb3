/**
 * A canvas that shows a live graph: it draws when numbers came, when the person moved something, and — for small graphs
 * and people who like motion — thirty times a second. Nothing of it goes through React.
 */
import { live } from "../live/live-store.ts";
import type { LabelPlace } from "./edge-path.ts";
import { type Marked, NONE, paint } from "./painter.ts";
import type { Scene } from "./scene.ts";
import { onThemeChange, readTheme } from "./theme.ts";
import { fitted, type Inset, reveal, type View, zoomAt } from "./view.ts";

/** More edges than this are drawn without moving light. */
const MOVING_EDGES_MAX = 60;
const FRAME_MS = 1000 / 30;
const HIT_PX = 12;

export interface StageEvents {
  readonly onSelect: (selected: Marked) => void;
  readonly onResize: (width: number, height: number) => void;
}

function isNearLabel({ x, y, align, side }: LabelPlace, atX: number, atY: number): boolean {
  const from = align === "start" ? x : align === "end" ? x - 54 : x - 27;
  const top = side === "above" ? y - 24 : side === "below" ? y : y - 10;
  return atX > from && atX < from + 54 && atY > top && atY < top + 22;
}

export class Stage {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #events: StageEvents;
  readonly #motion = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #undo: (() => void)[] = [];
  #theme = readTheme();
  #scene: Scene | undefined;
  #view: View = { zoom: 1, x: 0, y: 0 };
  #inset: Inset = { top: 0, right: 0, bottom: 0, left: 0 };
  #size = { width: 0, height: 0 };
  #selected: Marked = NONE;
  #hovered: Marked = NONE;
  #isFitted = true;
  #frame = 0;
  #drawnMs = 0;
  #isDirty = true;

  constructor(canvas: HTMLCanvasElement, events: StageEvents) {
    this.#canvas = canvas;
    this.#events = events;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser has no canvas");
    this.#context = context;
    const resized = new ResizeObserver(() => this.#resize());
    resized.observe(canvas);
    this.#undo.push(
      () => resized.disconnect(),
      onThemeChange(() => {
        this.#theme = readTheme();
        this.redraw();
      }),
      live.on("status", () => this.redraw()),
    );
    this.#listen();
    this.#resize();
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const undo of this.#undo) undo();
  }

  show(scene: Scene, inset: Inset): void {
    const isOther = scene.graph !== this.#scene?.graph;
    this.#scene = scene;
    this.#inset = inset;
    if (isOther || this.#isFitted) this.fit();
    this.redraw();
  }

  mark(selected: Marked): void {
    this.#selected = selected;
    const box = this.#scene?.layout.nodes[selected.node] ?? this.#scene?.layout.edges[selected.edge]?.box;
    if (box && !this.#isFitted) this.#view = reveal(this.#view, box, this.#size, this.#inset);
    this.redraw();
  }

  fit(): void {
    this.#isFitted = true;
    if (this.#scene) this.#view = fitted(this.#size.width, this.#size.height, this.#scene.layout, this.#inset);
    this.redraw();
  }

  zoom(factor: number, at = { x: this.#size.width / 2, y: this.#size.height / 2 }): void {
    this.#isFitted = false;
    this.#view = zoomAt(this.#view, factor, at);
    this.redraw();
  }

  pan(dx: number, dy: number): void {
    this.#isFitted = false;
    this.#view = { ...this.#view, x: this.#view.x + dx, y: this.#view.y + dy };
    this.redraw();
  }

  /** Draws with the next frame, however often it is called. */
  redraw(): void {
    this.#isDirty = true;
    this.#frame ||= requestAnimationFrame((now) => this.#draw(now));
  }

  #draw(nowMs: number): void {
    this.#frame = 0;
    const scene = this.#scene;
    if (!scene || this.#size.width === 0) return;
    const isMoving = !this.#motion.matches && scene.edges.length <= MOVING_EDGES_MAX && live.connection === "live";
    if (isMoving) this.#frame = requestAnimationFrame((now) => this.#draw(now));
    if (!this.#isDirty && nowMs - this.#drawnMs < FRAME_MS) return;
    this.#isDirty = false;
    this.#drawnMs = nowMs;
    paint(this.#context, {
      scene,
      view: this.#view,
      ...this.#size,
      theme: this.#theme,
      numbers: live,
      selected: this.#selected,
      hovered: this.#hovered,
      movingMs: isMoving ? nowMs : undefined,
    });
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#size = { width, height };
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.#canvas.width = Math.max(1, Math.round(width * ratio));
    this.#canvas.height = Math.max(1, Math.round(height * ratio));
    if (this.#isFitted) this.fit();
    else this.redraw();
    this.#events.onResize(width, height);
  }

  #listen(): void {
    const canvas = this.#canvas;
    let grabbed: { x: number; y: number; moved: number } | undefined;
    const at = (event: MouseEvent): { x: number; y: number } => ({ x: event.offsetX, y: event.offsetY });
    const on = <K extends keyof HTMLElementEventMap>(type: K, run: (event: HTMLElementEventMap[K]) => void): void => {
      canvas.addEventListener(type, run, { passive: false });
      this.#undo.push(() => canvas.removeEventListener(type, run));
    };
    on("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), at(event));
    });
    on("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      grabbed = { ...at(event), moved: 0 };
    });
    on("pointermove", (event) => {
      if (!grabbed) return this.#hover(at(event));
      const now = at(event);
      const moved = grabbed.moved + Math.abs(now.x - grabbed.x) + Math.abs(now.y - grabbed.y);
      if (moved > 4) this.pan(now.x - grabbed.x, now.y - grabbed.y);
      grabbed = { ...now, moved };
    });
    on("pointerup", (event) => {
      if (grabbed && grabbed.moved <= 4) this.#events.onSelect(this.hit(at(event)));
      grabbed = undefined;
    });
    on("pointerleave", () => this.#hover(undefined));
    on("dblclick", () => this.fit());
  }

  #hover(at: { x: number; y: number } | undefined): void {
    const hovered = at ? this.hit(at) : NONE;
    if (hovered.node === this.#hovered.node && hovered.edge === this.#hovered.edge) return;
    this.#hovered = hovered;
    this.#canvas.style.cursor = hovered.node >= 0 || hovered.edge >= 0 ? "pointer" : "grab";
    this.redraw();
  }

  /** The node or edge at a place of the canvas; nodes lie above edges. */
  hit(at: { readonly x: number; readonly y: number }): Marked {
    const scene = this.#scene;
    if (!scene) return NONE;
    const { zoom } = this.#view;
    const x = (at.x - this.#view.x) / zoom;
    const y = (at.y - this.#view.y) / zoom;
    const node = scene.layout.nodes.findIndex(
      (box) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height,
    );
    if (node >= 0) return { node, edge: -1 };
    const reach = HIT_PX / zoom;
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.lineWidth = reach * 2;
    const edge = scene.layout.edges.findIndex(({ box, path, label }) => {
      if (
        x < box.x - reach ||
        x > box.x + box.width + reach ||
        y < box.y - reach - 20 ||
        y > box.y + box.height + reach
      )
        return false;
      const isOnLabel = zoom >= 0.6 && isNearLabel(label, x, y);
      return isOnLabel || this.#context.isPointInStroke(path, x, y);
    });
    return { node: -1, edge };
  }
}
