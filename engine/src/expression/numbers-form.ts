/** Numbers over columns: fields, literals and arithmetic. */
import type { ColumnBatch } from "../frame/batch.ts";
import type { DictionaryColumn } from "../frame/column.ts";
import { asInts, compute, either, reusedNumbers } from "./arithmetic.ts";
import type { CelNode } from "./cel.ts";
import {
  constantNumbers,
  dictionaryOf,
  gathered,
  liftOf,
  NOTHING,
  type Numbers,
  type NumbersForm,
} from "./columnar.ts";
import type { Lift } from "./lift.ts";
import { numberLiteral } from "./literal.ts";
import type { Arithmetic } from "./operators.ts";
import { NO_SCOPE, pathOf } from "./syntax.ts";
import { partOfTime, timesForm } from "./times-form.ts";

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
  const reused = reusedNumbers();
  return (batch) => {
    const column = batch.columns.get(field);
    if (column?.type === "json") return numbersOfJson(column.values, batch.n, batch.selection);
    if (column?.type !== "number") return null;
    const { values, unsure } = gathered(column.values, column.nulls, batch, reused);
    return { values, unsure, int: false };
  };
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
