/** What behaviors ask of a compiled expression; `compileExpression` of the engine makes such ones from CEL. */
import type { Batch, Column, Json, MessageFailure } from "@millrace/engine";

export interface Expression {
  /** Two expressions of one source are computed once. */
  readonly source?: string;
  /** The value for one message. Throws when it has none. */
  row(event: Json): Json;
  /** The messages for which the value is `true`, ascending, and those for which it failed. */
  predicate(batch: Batch): { readonly selected: Uint32Array; readonly failures: readonly MessageFailure[] };
  /**
   * The value for every message, as a column indexed as the batch's own columns are (physically); for rows, by message.
   * Cells of failed messages are unspecified.
   */
  column(batch: Batch): { readonly column: Column; readonly failures: readonly MessageFailure[] };
}
