/**
 * The columnar form of an expression: typed loops for what columns can answer with certainty. Each compiled part answers for
 * the messages of one batch, in order; where a cell's type makes the result anything but plain it says *unsure*, and where the
 * batch has no fitting column at all it answers `null`. Both leave the message to the row form.
 */
import type { ColumnBatch } from "../frame/batch.ts";
import type { DictionaryColumn } from "../frame/column.ts";
import type { CelNode } from "./cel.ts";
import type { Cells } from "./comparisons.ts";
import type { IndexArena } from "./index-arena.ts";
import { Lift } from "./lift.ts";
import type { Mask } from "./mask.ts";
import { compileRow } from "./row.ts";
import { NO_SCOPE, readsOf } from "./syntax.ts";

export type MaskForm = (batch: ColumnBatch) => Mask | null;

/** Indices of the messages that pass; `null` where the condition is another, or not sure. */
export type SelectionForm = (batch: ColumnBatch, indices: IndexArena) => Uint32Array | null;

export interface Numbers {
  readonly values: Cells;
  /** 1 where the cell is no number. */
  readonly unsure: Uint8Array | null;
  /** CEL's int rather than double: division truncates. */
  readonly int: boolean;
}

export type NumbersForm = (batch: ColumnBatch) => Numbers | null;

/** Milliseconds since 1970 per message. */
export type TimesForm = (batch: ColumnBatch) => Omit<Numbers, "int"> | null;

export const NOTHING = (): null => null;

/** What the subexpression computes per dictionary entry, if it reads one field only. */
export function liftOf(node: CelNode): Lift | undefined {
  const reads = readsOf(node, NO_SCOPE);
  const [field] = reads.fields;
  if (field === undefined || reads.fields.size > 1 || reads.whole) return undefined;
  return new Lift(field, compileRow(node), node.pos);
}

export function dictionaryOf(batch: ColumnBatch, field: string): DictionaryColumn | undefined {
  const column = batch.columns.get(field);
  return column?.type === "dictionary" ? column : undefined;
}

export function constantNumbers(value: number, int: boolean): NumbersForm {
  let filled = new Float64Array(0);
  return ({ n }) => {
    if (filled.length < n) filled = new Float64Array(n).fill(value);
    return { values: filled, unsure: null, int };
  };
}

/** Cells in the order of the messages; `room` gives the array that those of a selection are put into. */
export function gathered(
  from: Cells,
  nulls: Uint8Array | null,
  { n, selection }: Pick<ColumnBatch, "n" | "selection">,
  room: (n: number) => Float64Array,
): Omit<Numbers, "int"> {
  if (selection === null) return { values: from, unsure: nulls };
  const values = room(n);
  for (let i = 0; i < n; i++) values[i] = from[selection[i] as number] as number;
  if (nulls === null) return { values, unsure: null };
  const unsure = new Uint8Array(n);
  for (let i = 0; i < n; i++) unsure[i] = nulls[selection[i] as number] as number;
  return { values, unsure };
}

/** `unsure`, and the cells besides that are not as they have to be. */
export function marked(
  values: Cells,
  unsure: Uint8Array | null,
  n: number,
  fits: (value: number) => boolean,
): Uint8Array | null {
  let marks = unsure;
  for (let i = 0; i < n; i++) {
    if (fits(values[i] as number)) continue;
    if (marks === unsure) marks = unsure === null ? new Uint8Array(n) : unsure.slice(0, n);
    (marks as Uint8Array)[i] = 1;
  }
  return marks;
}
