/** Which part of the plane the canvas shows. Screen = plane × zoom + offset, in CSS pixels. */
import type { Box } from "./box.ts";

export interface View {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export const ZOOM_MIN = 0.04;
export const ZOOM_MAX = 2.5;

export interface Inset {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** Everything, centred in what the overlays leave free, never enlarged beyond `zoomMax`. */
export function fitted(
  width: number,
  height: number,
  plane: { width: number; height: number },
  inset: Inset,
  zoomMax = 1.12,
): View {
  const room = { width: width - inset.left - inset.right, height: height - inset.top - inset.bottom };
  const zoom = clamp(Math.min(room.width / Math.max(1, plane.width), room.height / Math.max(1, plane.height), zoomMax));
  return {
    zoom,
    x: inset.left + (room.width - plane.width * zoom) / 2,
    y: inset.top + (room.height - plane.height * zoom) / 2,
  };
}

/** Zooms about a place on the screen. */
export function zoomAt({ zoom, x, y }: View, factor: number, at: { readonly x: number; readonly y: number }): View {
  const next = clamp(zoom * factor);
  const k = next / zoom;
  return { zoom: next, x: at.x - (at.x - x) * k, y: at.y - (at.y - y) * k };
}

export const clamp = (zoom: number): number => Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom));

/** Moves as little as needed to show a box. */
export function reveal(
  view: View,
  { x, y, width, height }: Box,
  room: { width: number; height: number },
  inset: Inset,
): View {
  const shift = (start: number, size: number, from: number, to: number): number =>
    start < from ? from - start : start + size > to ? to - start - size : 0;
  const dx = shift(x * view.zoom + view.x, width * view.zoom, inset.left, room.width - inset.right);
  const dy = shift(y * view.zoom + view.y, height * view.zoom, inset.top, room.height - inset.bottom);
  return dx === 0 && dy === 0 ? view : { ...view, x: view.x + dx, y: view.y + dy };
}
