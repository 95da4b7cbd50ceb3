/**
 * The columnar form of an expression: typed loops for what columns can answer with certainty. Each compiled part answers for
 * the messages of one batch, in order; where a cell's type makes the result anything but plain it says *unsure*, and where the
 * batch has no fitting column at all it answers `null`. Both leave the message to the row form.
 */
import type { ColumnBatch } from "../frame/batch.ts";
import type { Column, DictionaryColumn } from "../frame/column.ts";
import type { CelNode } from "./cel.ts";
import { isTimestamp } from "./functions.ts";
import { isoComparison, isPlainTime } from "./iso-order.ts";
import {
  asInts,
  type Cells,
  type Comparison,
  compare,
  compareTo,
  compute,
  either,
  inverted,
  logic,
  mark,
  reusedMask,
  reusedNumbers,
} from "./kernels.ts";
import { Lift, UNSURE } from "./lift.ts";
import { type Arithmetic, MIRRORED, type Ordering } from "./operators.ts";
import { compileRow, memberLiterals, numberLiteral } from "./row.ts";
import { macroOf, NO_SCOPE, pathOf, readsOf } from "./syntax.ts";

/** 0 false, 1 true, 2 unsure, per message. */
export type MaskForm = (batch: ColumnBatch) => Uint8Array | null;

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

const NOTHING = (): null => null;

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

/** A number per message, for expressions of one numeric type; `int` says which. */
export function numbersForm(node: CelNode): NumbersForm {
  const literal = numberLiteral(node);
  if (literal !== undefined) return constantNumbers(literal, isIntLiteral(node));
  const structural = structuralNumbers(node);
  const lift = liftOf(node);
  if (lift === undefined) return structural;
  const int = yieldsInt(node);
  return (batch) => {
    const column = dictionaryOf(batch, lift.field);
    return column === undefined ? structural(batch) : liftedNumbers(lift, column, batch, int);
  };
}

function isIntLiteral(node: CelNode): boolean {
  return node.op === "-_" ? isIntLiteral(node.args) : typeof node.args === "bigint";
}

const INT_FUNCTIONS = new Set(["size", "int", "indexOf", "lastIndexOf"]);

/** A hint only: a wrong one leaves every message to the row form. JSON's own numbers are doubles. */
function yieldsInt(node: CelNode): boolean {
  if (node.op === "call") return INT_FUNCTIONS.has(node.args[0]);
  if (node.op === "rcall") return INT_FUNCTIONS.has(node.args[0]) || node.args[0].startsWith("get");
  if (node.op === "-_") return yieldsInt(node.args);
  if (node.op === "value") return typeof node.args === "bigint";
  return isArithmetic(node) && node.args.every(yieldsInt);
}

function isArithmetic(node: CelNode): node is CelNode & { readonly op: Arithmetic } {
  return node.op === "+" || node.op === "-" || node.op === "*" || node.op === "/" || node.op === "%";
}

function constantNumbers(value: number, int: boolean): NumbersForm {
  let filled = new Float64Array(0);
  return ({ n }) => {
    if (filled.length < n) filled = new Float64Array(n).fill(value);
    return { values: filled, unsure: null, int };
  };
}

function liftedNumbers(lift: Lift, column: DictionaryColumn, { n, selection }: ColumnBatch, int: boolean): Numbers {
  const entries = lift.numbers(column.dictionary, int);
  const values = new Float64Array(n);
  const unsure = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const at = selection === null ? i : (selection[i] as number);
    const code = column.codes[at] as number;
    values[i] = entries.values[code] as number;
    unsure[i] = column.nulls !== null && column.nulls[at] === 1 ? 1 : (entries.unsure[code] as number);
  }
  return { values, unsure, int };
}

function structuralNumbers(node: CelNode): NumbersForm {
  if (isArithmetic(node)) return arithmeticNumbers(node.op, numbersForm(node.args[0]), numbersForm(node.args[1]));
  if (node.op === "rcall" && node.args[2].length === 0) return partOfTime(node.args[0], timesForm(node.args[1]));
  const path = pathOf(node, NO_SCOPE);
  return path?.length === 1 ? fieldNumbers(path[0] as string) : NOTHING;
}

function arithmeticNumbers(op: Arithmetic, left: NumbersForm, right: NumbersForm): NumbersForm {
  const reused = reusedNumbers();
  return (batch) => {
    const a = left(batch);
    const b = a === null ? null : right(batch);
    if (a === null || b === null) return null;
    const values = compute(op, a.values, b.values, reused(batch.n));
    const unsure = either(a.unsure, b.unsure, batch.n);
    const int = a.int && b.int;
    return { values, unsure: int ? asInts(values, unsure, batch.n) : unsure, int };
  };
}

function fieldNumbers(field: string): NumbersForm {
  return ({ columns, n, selection }) => {
    const column = columns.get(field);
    if (column?.type === "json") return numbersOfJson(column.values, n, selection);
    if (column?.type !== "number") return null;
    return { ...gathered(column.values, column.nulls, n, selection), int: false };
  };
}

function gathered(
  from: Cells,
  nulls: Uint8Array | null,
  n: number,
  selection: Uint32Array | null,
): Omit<Numbers, "int"> {
  if (selection === null) return { values: from, unsure: nulls };
  const values = new Float64Array(n);
  for (let i = 0; i < n; i++) values[i] = from[selection[i] as number] as number;
  if (nulls === null) return { values, unsure: null };
  const unsure = new Uint8Array(n);
  for (let i = 0; i < n; i++) unsure[i] = nulls[selection[i] as number] as number;
  return { values, unsure };
}

function numbersOfJson(from: readonly unknown[], n: number, selection: Uint32Array | null): Numbers {
  const values = new Float64Array(n);
  const unsure = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const value = from[selection === null ? i : (selection[i] as number)];
    if (typeof value === "number") values[i] = value;
    else unsure[i] = 1;
  }
  return { values, unsure, int: false };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function modulo(a: number, b: number): number {
  return a - Math.floor(a / b) * b;
}

const PARTS: ReadonlyMap<string, (ms: number) => number> = new Map([
  ["getMilliseconds", (ms) => modulo(ms, SECOND)],
  ["getSeconds", (ms) => Math.floor(modulo(ms, MINUTE) / SECOND)],
  ["getMinutes", (ms) => Math.floor(modulo(ms, HOUR) / MINUTE)],
  ["getHours", (ms) => Math.floor(modulo(ms, DAY) / HOUR)],
  // 1970-01-01 was a Thursday; Sunday is 0.
  ["getDayOfWeek", (ms) => modulo(Math.floor(ms / DAY) + 4, 7)],
]);

/** `timestamp(event.t).getHours()` and its like, in UTC. */
function partOfTime(name: string, operand: TimesForm): NumbersForm {
  const part = PARTS.get(name);
  if (part === undefined) return NOTHING;
  return (batch) => {
    const times = operand(batch);
    if (times === null) return null;
    const values = new Float64Array(batch.n);
    for (let i = 0; i < values.length; i++) values[i] = part(times.values[i] as number);
    return { values, unsure: times.unsure, int: true };
  };
}

/** A timestamp per message: `timestamp(event.field)` on a time column, or a constant. */
export function timesForm(node: CelNode): TimesForm {
  if (node.op !== "call" || node.args[0] !== "timestamp") return NOTHING;
  const argument = node.args[1][0] as CelNode;
  const path = pathOf(argument, NO_SCOPE);
  if (path?.length === 1) return fieldTimes(path[0] as string);
  const reads = readsOf(node, NO_SCOPE);
  if (reads.whole || reads.fields.size > 0) return NOTHING;
  const constant = compileRow(node)(null);
  return constant instanceof Date ? constantNumbers(constant.getTime(), true) : NOTHING;
}

function fieldTimes(field: string): TimesForm {
  return ({ columns, n, selection }) => {
    const column = columns.get(field);
    if (column?.type !== "time") return null;
    const times = gathered(column.values, column.nulls, n, selection);
    return { values: times.values, unsure: marked(times.values, times.unsure, n, isWholeTimestamp) };
  };
}

/** CEL's timestamps end where ISO years have four digits, and time cells may hold fractions that strings do not. */
function isWholeTimestamp(ms: number): boolean {
  return isTimestamp(ms) && Number.isInteger(ms);
}

/** `unsure`, and the cells besides that are not as they have to be. */
function marked(
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
