/** Fault tests have a short form, which every test run takes, and a full one: `npm run faults -- --full`. */
import type { TestContext } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    /** What the case measured, in one line of the table. */
    figures?: string;
  }
}

export const isFull = process.env.MILLRACE_FAULTS === "full";

/** How often a fault is injected. */
export const times = (short: number, full: number): number => (isFull ? full : short);

/** Milliseconds that a case may take: the full forms run for hours on a busy machine. */
export const limitMs = (short: number): number => (isFull ? 4 * 3_600_000 : short);

/** Puts a line of figures into the table of `npm run faults`. */
export function tell({ task }: TestContext, figures: string): void {
  task.meta.figures = figures;
}
