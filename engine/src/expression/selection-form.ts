/**
 * The two most frequent kinds of conditions, those on one dictionary column and a number compared with a constant: the indices of
 * the messages that pass, in one loop; and those that a kernel puts together of such parts. What else there is goes by a mask.
 */
import { reusedNumbers } from "./arithmetic.ts";
import type { CelNode } from "./cel.ts";
import { dictionaryOf, gathered, liftOf, NOTHING, type SelectionForm } from "./columnar.ts";
import { conditionForm, limitOf } from "./condition-form.ts";
import type { Lift } from "./lift.ts";
import type { Limited } from "./mask-form.ts";
import { NO_SCOPE, pathOf } from "./syntax.ts";

export function selectionForm(node: CelNode): SelectionForm {
  const lift = liftOf(node);
  const lifted = lift === undefined ? NOTHING : liftedSelection(lift);
  const limited = limitOf(node);
  const compared = limited === undefined ? NOTHING : limitSelection(limited);
  const combined = conditionForm(node);
  return (batch, indices) => lifted(batch, indices) ?? compared(batch, indices) ?? combined(batch, indices);
}

function liftedSelection(lift: Lift): SelectionForm {
  return (batch, indices) => {
    const column = dictionaryOf(batch, lift.field);
    if (column === undefined || column.nulls !== null || batch.selection !== null) return null;
    return indices.ofEntries(lift.masks(column.dictionary).values, column.codes, batch.n);
  };
}

function limitSelection({ op, operand, limit }: Limited): SelectionForm {
  const path = pathOf(operand, NO_SCOPE);
  if (path?.length !== 1) return NOTHING;
  const field = path[0] as string;
  const reused = reusedNumbers();
  return (batch, indices) => {
    const column = batch.columns.get(field);
    if (column?.type !== "number" || column.nulls !== null) return null;
    return indices.comparing(op, gathered(column.values, null, batch, reused).values, limit, batch.n);
  };
}
