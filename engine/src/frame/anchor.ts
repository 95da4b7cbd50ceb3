import { START } from "./point.ts";

/**
 * The last frame end, at or below a cursor, at which the lane's watermark is known exactly: where the origin can restart its
 * watermark generator (R19).
 */
export interface Anchor {
  readonly pos: number;
  readonly watermark: number;
}

export const START_ANCHOR: Anchor = { pos: START.pos, watermark: Number.NEGATIVE_INFINITY };
