/** Conditions over columns: one mask per batch. */
import type { ColumnBatch } from "../frame/batch.ts";
import type { Column, DictionaryColumn } from "../frame/column.ts";
import type { CelNode } from "./cel.ts";
import {
  dictionaryOf,
  gathered,
  liftOf,
  type MaskForm,
  marked,
  NOTHING,
  type NumbersForm,
  type TimesForm,
} from "./columnar.ts";
import { isoComparison, isPlainTime } from "./iso-order.ts";
import { type Comparison, compare, compareTo, either, inverted, logic, mark, reusedMask } from "./kernels.ts";
import { type Lift, UNSURE } from "./lift.ts";
import { memberLiterals, numberLiteral } from "./literal.ts";
import { numbersForm } from "./numbers-form.ts";
import { MIRRORED, type Ordering } from "./operators.ts";
import { macroOf, NO_SCOPE, pathOf } from "./syntax.ts";
import { timesForm } from "./times-form.ts";

export function maskForm(node: CelNode): MaskForm {
  const structural = structuralMask(node);
  const lift = liftOf(node);
  if (lift === undefined) return structural;
  const reused = reusedMask();
  return (batch) => {
    const column = dictionaryOf(batch, lift.field);
    return column === undefined ? structural(batch) : liftedMask(lift, column, batch, reused(batch.n));
  };
}

function liftedMask(lift: Lift, column: DictionaryColumn, { n, selection }: ColumnBatch, out: Uint8Array): Uint8Array {
  const entries = lift.masks(column.dictionary).values;
  const { codes, nulls } = column;
  for (let i = 0; i < n; i++) {
    const at = selection === null ? i : (selection[i] as number);
    out[i] = nulls !== null && nulls[at] === 1 ? UNSURE : (entries[codes[at] as number] as number);
  }
  return out;
}

function structuralMask(node: CelNode): MaskForm {
  switch (node.op) {
    case "value":
      return typeof node.args === "boolean" ? constantMask(node.args) : NOTHING;
    case "!_": {
      const operand = maskForm(node.args);
      const reused = reusedMask();
      return (batch) => {
        const mask = operand(batch);
        return mask === null ? null : inverted(mask, reused(batch.n));
      };
    }
    case "&&":
      return logicMask(0, node.args);
    case "||":
      return logicMask(1, node.args);
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "==":
    case "!=":
      return comparisonMask(node.op, node.args);
    case "in":
      return membershipMask(node.args);
    case "call":
      return presenceMask(node);
    default: {
      const path = pathOf(node, NO_SCOPE);
      return path?.length === 1 ? flagMask(path[0] as string) : NOTHING;
    }
  }
}

function constantMask(value: boolean): MaskForm {
  const reused = reusedMask();
  return ({ n }) => reused(n).fill(value ? 1 : 0);
}

function logicMask(decisive: 0 | 1, [left, right]: readonly [CelNode, CelNode]): MaskForm {
  const a = maskForm(left);
  const b = maskForm(right);
  const reused = reusedMask();
  return (batch) => {
    const x = a(batch);
    const y = b(batch);
    if (x === null && y === null) return null;
    const unknown = (): Uint8Array => new Uint8Array(batch.n).fill(UNSURE);
    return logic(decisive, x ?? unknown(), y ?? unknown(), reused(batch.n));
  };
}

function flagMask(field: string): MaskForm {
  const reused = reusedMask();
  return ({ columns, n, selection }) => {
    const column = columns.get(field);
    if (column?.type !== "boolean") return null;
    const out = reused(n);
    for (let i = 0; i < n; i++) {
      const at = selection === null ? i : (selection[i] as number);
      out[i] = column.nulls !== null && column.nulls[at] === 1 ? UNSURE : (column.values[at] as number);
    }
    return out;
  };
}

/** `has(event.field)`: a column gives its field to every message, if only as `null`. */
function presenceMask(node: CelNode): MaskForm {
  const macro = macroOf(node);
  const path = macro?.name === "has" ? pathOf(macro.range, NO_SCOPE) : undefined;
  if (path?.length !== 1) return NOTHING;
  const field = path[0] as string;
  const reused = reusedMask();
  return ({ columns, n }) => reused(n).fill(columns.has(field) ? 1 : 0);
}

function comparisonMask(op: Comparison, [left, right]: readonly [CelNode, CelNode]): MaskForm {
  if (op === "==" || op === "!=") {
    if (isNull(right)) return nullMask(op === "==", left);
    if (isNull(left)) return nullMask(op === "==", right);
  }
  const limit = numberLiteral(right);
  if (limit !== undefined) return limitMask(op, numbersForm(left), limit);
  const mirrored = numberLiteral(left);
  if (mirrored !== undefined)
    return limitMask(op in MIRRORED ? MIRRORED[op as Ordering] : op, numbersForm(right), mirrored);
  const text = textLiteral(right);
  if (text !== undefined) return isoMask(op, left, text);
  return pairMask(op, [numbersForm(left), numbersForm(right)], [timesForm(left), timesForm(right)]);
}

function textLiteral(node: CelNode): string | undefined {
  return node.op === "value" && typeof node.args === "string" ? node.args : undefined;
}

/** A time cell reads as its ISO string; strings of other columns are dictionary entries, which are lifted. */
function isoMask(op: Comparison, node: CelNode, text: string): MaskForm {
  const path = pathOf(node, NO_SCOPE);
  if (path?.length !== 1) return NOTHING;
  const field = path[0] as string;
  const holds = isoComparison(op, text);
  const reused = reusedMask();
  return ({ columns, n, selection }) => {
    const column = columns.get(field);
    if (column?.type !== "time") return null;
    const { values, unsure } = gathered(column.values, column.nulls, n, selection);
    return mark(holds(values, reused(n)), marked(values, unsure, n, isPlainTime));
  };
}

function isNull(node: CelNode): boolean {
  return node.op === "value" && node.args === null;
}

function nullMask(wanted: boolean, node: CelNode): MaskForm {
  const path = pathOf(node, NO_SCOPE);
  if (path?.length !== 1) return NOTHING;
  const field = path[0] as string;
  const reused = reusedMask();
  return ({ columns, n, selection }) => {
    const column = columns.get(field);
    if (column === undefined) return null;
    const out = reused(n);
    for (let i = 0; i < n; i++)
      out[i] = isNullCell(column, selection === null ? i : (selection[i] as number)) === wanted ? 1 : 0;
    return out;
  };
}

function isNullCell(column: Column, at: number): boolean {
  if (column.type === "json") return (column.values[at] ?? null) === null;
  if (column.nulls !== null && column.nulls[at] === 1) return true;
  if (column.type === "dictionary") return (column.dictionary.values[column.codes[at] as number] ?? null) === null;
  return column.type === "time" && Number.isNaN(new Date(column.values[at] as number).getTime());
}

function limitMask(op: Comparison, operand: NumbersForm, limit: number): MaskForm {
  const reused = reusedMask();
  return (batch) => {
    const numbers = operand(batch);
    return numbers === null ? null : mark(compareTo(op, numbers.values, limit, reused(batch.n)), numbers.unsure);
  };
}

function pairMask(
  op: Comparison,
  numbers: readonly [NumbersForm, NumbersForm],
  times: readonly [TimesForm, TimesForm],
): MaskForm {
  const reused = reusedMask();
  return (batch) => {
    for (const [left, right] of [numbers, times]) {
      const a = left(batch);
      const b = a === null ? null : right(batch);
      if (a !== null && b !== null)
        return mark(compare(op, a.values, b.values, reused(batch.n)), either(a.unsure, b.unsure, batch.n));
    }
    return null;
  };
}

function membershipMask([value, list]: readonly [CelNode, CelNode]): MaskForm {
  const members = memberLiterals(list);
  if (members === undefined) return NOTHING;
  const operand = numbersForm(value);
  const reused = reusedMask();
  return (batch) => {
    const numbers = operand(batch);
    if (numbers === null) return null;
    const out = reused(batch.n);
    for (let i = 0; i < out.length; i++) out[i] = members.has(numbers.values[i]) ? 1 : 0;
    return mark(out, numbers.unsure);
  };
}
