import type { Json, MillraceError, StateEvent } from "@millrace/engine";
import type { CalculatorContext } from "./calculator-module.ts";
import type { BatchPayloads } from "./calculator-payloads.ts";

/** A row's messages, or why there are none and after how many attempts. */
export type Outcome = { readonly out: readonly Json[] } | { readonly error: MillraceError; readonly attempts: number };

/** State that a calculator keeps between rows: changed by running rows, kept by the log as patches. */
export interface CalculatorState {
  /** How the rows since the last seal changed it; `null` for not at all. */
  readonly patch: StateEvent;
  /** The step that was made became part of the log. */
  seal(): void;
  /** Everything since the last seal is undone. */
  discard(): void;
  fold(patch: StateEvent): void;
  /** As of the last seal. */
  snapshot(): StateEvent;
  restore(state: StateEvent): void;
}

/** Where the code of a calculator runs: it gives every row an outcome, and outlives whatever the code does. */
export interface CalculatorHost {
  /** Absent: rows have nothing to do with each other. */
  readonly state?: CalculatorState;
  /** Before the first row, when the node is opened. Absent: it runs already. */
  open?(): Promise<void>;
  /**
   * One outcome per row, in order; a row may be calculated more than once.
   *
   * @throws CALC-START the code cannot be started at present
   */
  run(rows: readonly Json[], context: CalculatorContext, payloads: BatchPayloads): Promise<readonly Outcome[]>;
  /** What it says of itself and what is known of its health, for people. */
  describe(): Json;
  close(): Promise<void>;
}
