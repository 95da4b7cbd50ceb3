/** Where windows lie: they are aligned to 1970-01-01T00:00Z. */
export interface WindowSpan {
  /** Length of a window in ms, > 0. */
  readonly sizeMs: number;
  /** From the start of one window to that of the next, in ms; divides `sizeMs`. */
  readonly everyMs: number;
}

/** Of the last window that holds `t`. */
export function windowStart(t: number, everyMs: number): number {
  return Math.floor(t / everyMs) * everyMs;
}

/** Of the first window that starts after `t`. */
export function firstStartAfter(t: number, everyMs: number): number {
  return windowStart(t, everyMs) + everyMs;
}
