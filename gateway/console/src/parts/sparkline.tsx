import { type ReactElement, useEffect, useRef } from "react";
import { onThemeChange, readTheme } from "../canvas/theme.ts";
import { live } from "../live/live-store.ts";

const POINTS = 240;

/** The last minute of a graph's input. */
export function Sparkline({ graph }: { readonly graph: string }): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    let { water } = readTheme();
    const draw = (): void => drawLine(context, live.histories.of(graph).inRate.slice(-POINTS), water);
    draw();
    const undo = [
      live.on("status", draw),
      onThemeChange(() => {
        water = readTheme().water;
        draw();
      }),
    ];
    return () => {
      for (const one of undo) one();
    };
  }, [graph]);
  return <canvas ref={canvas} className="sparkline" role="img" aria-label="Input over the last minute" />;
}

function drawLine(context: CanvasRenderingContext2D, values: readonly number[], colour: string): void {
  const { canvas } = context;
  const ratio = Math.min(2, devicePixelRatio || 1);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  context.scale(ratio, ratio);
  if (values.length < 2) return;
  const most = Math.max(1, ...values);
  context.beginPath();
  values.forEach((value, index) => {
    context.lineTo(
      width - ((values.length - 1 - index) / (POINTS - 1)) * width,
      height - 2 - (value / most) * (height - 5),
    );
  });
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(width - ((values.length - 1) / (POINTS - 1)) * width, height);
  context.globalAlpha = 0.15;
  context.fillStyle = colour;
  context.fill();
}
