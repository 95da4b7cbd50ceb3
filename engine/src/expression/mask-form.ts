/** Conditions over columns: one mask per batch. */
import type { ColumnBatch } from "../frame/batch.ts";
import type { Column, DictionaryColumn } from "../frame/column.ts";
import { either, reusedNumbers } from "./arithmetic.ts";
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
import { type Comparison, compare, compareTo } from "./comparisons.ts";
import { isoComparison, isPlainTime } from "./iso-order.ts";
import { type Lift, UNSURE } from "./lift.ts";
import { memberLiterals, numberLiteral } from "./literal.ts";
import { conjunction, disjunction, inverted, type Mask, mark, reusedMask } from "./mask.ts";
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

function liftedMask(lift: Lift, column: DictionaryColumn, { n, selection }: ColumnBatch, out: Mask): Mask {
  const entries = lift.masks(column.dictionary).values;
  const { codes, nulls } = column;
  const { bytes } = out;
  if (selection === null && nulls === null) {
    lookUp(entries, codes, bytes, n);
    return out;
  }
  for (let i = 0; i < n; i++) {
    const at = selection === null ? i : (selection[i] as number);
    bytes[i] = nulls !== null && nulls[at] === 1 ? UNSURE : (entries[codes[at] as number] as number);
  }
  return out;
}

/** Four cells a turn, as the loops of comparisons. */
function lookUp(entries: Uint8Array, codes: DictionaryColumn["codes"], bytes: Uint8Array, n: number): void {
  const turns = n & ~3;
  for (let i = 0; i < turns; i += 4) {
    bytes[i] = entries[codes[i] as number] as number;
    bytes[i + 1] = entries[codes[i + 1] as number] as number;
    bytes[i + 2] = entries[codes[i + 2] as number] as number;
    bytes[i + 3] = entries[codes[i + 3] as number] as number;
  }
  for (let i = turns; i < n; i++) bytes[i] = entries[codes[i] as number] as number;
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
        return mask === null ? null : inverted(mask, reused(batch.n), batch.n);
      };
    }
    case "&&":
      return logicMask(conjunction, node.args);
    case "||":
      return logicMask(disjunction, node.args);
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
  return ({ n }) => filled(reused(n), value ? 1 : 0, n);
}

function filled(mask: Mask, value: number, n: number): Mask {
  mask.bytes.fill(value, 0, n);
  return mask;
}

function logicMask(combined: typeof conjunction, [left, right]: readonly [CelNode, CelNode]): MaskForm {
  const a = maskForm(left);
  const b = maskForm(right);
  const reused = reusedMask();
  const unknown = reusedMask();
  return (batch) => {
    const { n } = batch;
    const x = a(batch);
    const y = b(batch);
    if (x === null && y === null) return null;
    const other = x === null || y === null ? filled(unknown(n), UNSURE, n) : null;
    return combined(x ?? (other as Mask), y ?? (other as Mask), reused(n), n);
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
      out.bytes[i] = column.nulls !== null && column.nulls[at] === 1 ? UNSURE : (column.values[at] as number);
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
  return ({ columns, n }) => filled(reused(n), columns.has(field) ? 1 : 0, n);
}

function comparisonMask(op: Comparison, args: readonly [CelNode, CelNode]): MaskForm {
  const [left, right] = args;
  if (op === "==" || op === "!=") {
    if (isNull(right)) return nullMask(op === "==", left);
    if (isNull(left)) return nullMask(op === "==", right);
  }
  const limited = limitedBy(op, args);
  if (limited !== undefined) return limitMask(limited);
  const text = textLiteral(right);
  if (text !== undefined) return isoMask(op, left, text);
  return pairMask(op, [numbersForm(left), numbersForm(right)], [timesForm(left), timesForm(right)]);
}

/** A comparison with a constant, which stands on the right of `op`. */
export interface Limited {
  readonly op: Comparison;
  readonly operand: CelNode;
  readonly limit: number;
}

export function limitedBy(op: Comparison, [left, right]: readonly [CelNode, CelNode]): Limited | undefined {
  const limit = numberLiteral(right);
  if (limit !== undefined) return { op, operand: left, limit };
  const mirrored = numberLiteral(left);
  if (mirrored === undefined) return undefined;
  return { op: op in MIRRORED ? MIRRORED[op as Ordering] : op, operand: right, limit: mirrored };
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
  const room = reusedNumbers();
  return (batch) => {
    const { n } = batch;
    const column = batch.columns.get(field);
    if (column?.type !== "time") return null;
    const { values, unsure } = gathered(column.values, column.nulls, batch, room);
    const out = reused(n);
    holds(values, out.bytes, n);
    return mark(out, marked(values, unsure, n, isPlainTime), n);
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
      out.bytes[i] = isNullCell(column, selection === null ? i : (selection[i] as number)) === wanted ? 1 : 0;
    return out;
  };
}

function isNullCell(column: Column, at: number): boolean {
  if (column.type === "json") return (column.values[at] ?? null) === null;
  if (column.nulls !== null && column.nulls[at] === 1) return true;
  if (column.type === "dictionary") return (column.dictionary.values[column.codes[at] as number] ?? null) === null;
  return column.type === "time" && Number.isNaN(new Date(column.values[at] as number).getTime());
}

function limitMask({ op, operand, limit }: Limited): MaskForm {
  const numbersOf = numbersForm(operand);
  const reused = reusedMask();
  return (batch) => {
    const { n } = batch;
    const numbers = numbersOf(batch);
    if (numbers === null) return null;
    const out = reused(n);
    compareTo(op, numbers.values, limit, out.bytes, n);
    return mark(out, numbers.unsure, n);
  };
}

function pairMask(
  op: Comparison,
  numbers: readonly [NumbersForm, NumbersForm],
  times: readonly [TimesForm, TimesForm],
): MaskForm {
  const reused = reusedMask();
  return (batch) => {
    const { n } = batch;
    for (const [left, right] of [numbers, times]) {
      const a = left(batch);
      const b = a === null ? null : right(batch);
      if (a === null || b === null) continue;
      const out = reused(n);
      compare(op, a.values, b.values, out.bytes, n);
      return mark(out, either(a.unsure, b.unsure, n), n);
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
    for (let i = 0; i < batch.n; i++) out.bytes[i] = members.has(numbers.values[i]) ? 1 : 0;
    return mark(out, numbers.unsure, batch.n);
  };
}
