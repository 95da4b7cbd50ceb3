import { expect } from "vitest";

/** What became of the rows that a graph was given. */
export interface Balance {
  /** Counted where they were made. */
  readonly rowsIn: number;
  /** Counted in what the sink wrote. */
  readonly rowsOut: number;
  /** Counted in what `dlq ls` lists. */
  readonly deadLetters: number;
  /** Rows that the graph drops as it is written: a filter's, a calculator's `undefined`. Default 0. */
  readonly drops?: number;
}

/** Rows in = rows out + dead letters + declared drops: nothing is lost without a trace, nothing is there twice. */
export function expectBalance({ rowsIn, rowsOut, deadLetters, drops = 0 }: Balance): void {
  expect({ rowsIn, accounted: rowsOut + deadLetters + drops }).toEqual({ rowsIn, accounted: rowsIn });
}
