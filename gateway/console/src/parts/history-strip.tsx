/** The last minutes of a graph along the bottom: what went in and out, and what happened. Drawn, not rendered. */
import { type ReactElement, useEffect, useRef, useState } from "react";
import { onThemeChange, readTheme, type Theme } from "../canvas/theme.ts";
import { clock, rate } from "../format.ts";
import type { GraphHistory, Mark } from "../live/history.ts";
import { live } from "../live/live-store.ts";
import { LiveText } from "../live/use-live.tsx";

const SPANS = { "2 min": 120_000, "5 min": 300_000, "15 min": 900_000 } as const;
type SpanName = keyof typeof SPANS;
const AXIS = 16;
const SHOWN_MS_MIN = 20_000;
const STEPS = [5000, 10_000, 20_000, 60_000, 180_000];

export function HistoryStrip({ graph }: { readonly graph: string }): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [span, setSpan] = useState<SpanName>("2 min");
  const pointer = useRef<number | undefined>(undefined);
  const reading = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    let theme = readTheme();
    const draw = (): void => {
      const said = drawHistory(
        context,
        theme,
        live.histories.of(graph),
        SPANS[span],
        live.status?.atMs ?? 0,
        pointer.current,
      );
      if (reading.current) reading.current.textContent = said;
    };
    const resized = new ResizeObserver(() => {
      const ratio = Math.min(2, devicePixelRatio || 1);
      element.width = Math.max(1, Math.round(element.clientWidth * ratio));
      element.height = Math.max(1, Math.round(element.clientHeight * ratio));
      draw();
    });
    resized.observe(element);
    const move = (event: PointerEvent): void => {
      pointer.current = event.type === "pointerleave" ? undefined : event.offsetX;
      draw();
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerleave", move);
    const undo = [
      live.on("status", draw),
      onThemeChange(() => {
        theme = readTheme();
        draw();
      }),
    ];
    return () => {
      resized.disconnect();
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerleave", move);
      for (const one of undo) one();
    };
  }, [graph, span]);
  return (
    <section className="history" aria-label="History">
      <div className="history-head">
        <h2>History</h2>
        <span className="key key-in">in</span>
        <span className="key key-out">out</span>
        <span ref={reading} className="num history-reading" />
        <span className="grow" />
        <fieldset className="spans">
          <legend className="sr-only">Time shown</legend>
          {(Object.keys(SPANS) as SpanName[]).map((name) => (
            <label key={name}>
              <input type="radio" name="span" checked={name === span} onChange={() => setSpan(name)} />
              {name}
            </label>
          ))}
        </fieldset>
      </div>
      <canvas ref={canvas} className="history-canvas" role="img" aria-label="Messages per second over time" />
      <p className="sr-only">
        In <LiveText read={() => rate(live.graph(graph)?.inRate ?? 0)} />, out{" "}
        <LiveText read={() => rate(live.graph(graph)?.outRate ?? 0)} />.
      </p>
    </section>
  );
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly xOf: (atMs: number) => number;
  readonly yOf: (perSecond: number) => number;
  readonly first: number;
  /** A page that was just opened shows what it has. */
  readonly shownMs: number;
}

/** Draws it and answers in words what is under the pointer. */
function drawHistory(
  context: CanvasRenderingContext2D,
  theme: Theme,
  history: GraphHistory,
  spanMs: number,
  nowMs: number,
  pointerX: number | undefined,
): string {
  const { clientWidth, clientHeight } = context.canvas;
  const ratio = context.canvas.width / Math.max(1, clientWidth);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  const frame = frameOf(history, spanMs, nowMs, clientWidth, clientHeight - AXIS);
  drawAxis(context, theme, frame, nowMs);
  drawSeries(context, frame, history, history.inRate, theme.water, true);
  drawSeries(context, frame, history, history.outRate, theme.grain, false);
  drawMarks(context, theme, frame, history.marks, nowMs - frame.shownMs);
  return pointerX === undefined ? "" : drawPointer(context, theme, frame, history, pointerX);
}

function frameOf(
  { atMs, inRate, outRate }: GraphHistory,
  spanMs: number,
  nowMs: number,
  width: number,
  height: number,
): Frame {
  const start = atMs.findIndex((at) => at >= nowMs - spanMs);
  const first = Math.max(0, start < 0 ? atMs.length : start);
  const shownMs = Math.min(spanMs, Math.max(SHOWN_MS_MIN, nowMs - (atMs[first] ?? nowMs)));
  let most = 1;
  for (let i = first; i < atMs.length; i++) most = Math.max(most, inRate[i] ?? 0, outRate[i] ?? 0);
  return {
    width,
    height,
    first,
    shownMs,
    xOf: (at) => width - ((nowMs - at) / shownMs) * width,
    yOf: (perSecond) => height - 1 - (perSecond / most) * (height - 16),
  };
}

function drawAxis(
  context: CanvasRenderingContext2D,
  theme: Theme,
  { width, height, xOf, shownMs }: Frame,
  nowMs: number,
): void {
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
  if (nowMs === 0) return;
  context.font = `10px ${theme.mono}`;
  context.fillStyle = theme.faint;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  const step = STEPS.find((one) => shownMs / one <= 7) ?? 180_000;
  for (let at = Math.ceil((nowMs - shownMs) / step) * step; at < nowMs; at += step) {
    const x = xOf(at);
    if (x < width - 60) context.fillText(clock(at), x, height + AXIS - 1);
  }
}

function drawSeries(
  context: CanvasRenderingContext2D,
  { first, height, xOf, yOf }: Frame,
  { atMs }: GraphHistory,
  values: readonly number[],
  colour: string,
  isFilled: boolean,
): void {
  if (atMs.length - first < 2) return;
  const start = Math.max(0, first - 1);
  context.beginPath();
  for (let i = start; i < atMs.length; i++) context.lineTo(xOf(atMs[i] as number), yOf(values[i] as number));
  context.strokeStyle = colour;
  context.lineWidth = isFilled ? 1.5 : 1.2;
  context.lineJoin = "round";
  context.stroke();
  if (!isFilled) return;
  context.lineTo(xOf(atMs.at(-1) as number), height);
  context.lineTo(xOf(atMs[start] as number), height);
  context.globalAlpha = 0.14;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

function drawMarks(
  context: CanvasRenderingContext2D,
  theme: Theme,
  frame: Frame,
  marks: readonly Mark[],
  fromMs: number,
): void {
  let labelEnd = -1;
  for (const { atMs, kind, text } of marks) {
    if (atMs < fromMs) continue;
    const x = frame.xOf(atMs);
    if (kind === "dead-letter") {
      context.fillStyle = theme.bad;
      context.beginPath();
      context.arc(x, frame.height - 7, 3, 0, Math.PI * 2);
      context.fill();
      continue;
    }
    context.strokeStyle = kind === "restart" ? theme.bad : theme.grain;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(x, 2);
    context.lineTo(x, frame.height);
    context.stroke();
    context.setLineDash([]);
    if (x < labelEnd) continue;
    context.font = `10px ${theme.sans}`;
    context.fillStyle = kind === "restart" ? theme.badInk : theme.warnInk;
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(text, x + 5, 1);
    labelEnd = x + 10 + context.measureText(text).width;
  }
}

function drawPointer(
  context: CanvasRenderingContext2D,
  theme: Theme,
  frame: Frame,
  history: GraphHistory,
  x: number,
): string {
  let nearest = -1;
  for (let i = frame.first; i < history.atMs.length; i++) {
    const distance = Math.abs(frame.xOf(history.atMs[i] as number) - x);
    if (nearest < 0 || distance < Math.abs(frame.xOf(history.atMs[nearest] as number) - x)) nearest = i;
  }
  const at = history.atMs[nearest];
  if (at === undefined) return "";
  context.strokeStyle = theme.ink;
  context.globalAlpha = 0.5;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(frame.xOf(at), 0);
  context.lineTo(frame.xOf(at), frame.height);
  context.stroke();
  context.globalAlpha = 1;
  return `${clock(at)} · in ${rate(history.inRate[nearest] as number)} · out ${rate(history.outRate[nearest] as number)}`;
}
