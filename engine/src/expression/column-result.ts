/** Columns made from an expression's results, in the physical order of the batch they were computed from. */
import type { ColumnBatch } from "../frame/batch.ts";
import { type Column, Dictionary } from "../frame/column.ts";
import type { Json } from "../frame/json.ts";
import type { CelNode } from "./cel.ts";
import { dictionaryOf, liftOf, type MaskForm, type NumbersForm, type TimesForm } from "./columnar.ts";
import { ResultEntries, UNSURE } from "./lift.ts";
import { maskForm } from "./mask-form.ts";
import { numbersForm } from "./numbers-form.ts";
import { NO_SCOPE, pathOf } from "./syntax.ts";
import { timesForm } from "./times-form.ts";

/** What the columnar form made, and the messages that it leaves to the row form. */
export interface Drafted {
  readonly column: Column;
  /** 1 where the cell is still open, per message. `null`: nowhere. */
  readonly open: Uint8Array | null;
}

export type ColumnForm = (batch: ColumnBatch) => Drafted | null;

export function columnForm(node: CelNode, type: string): ColumnForm {
  const path = pathOf(node, NO_SCOPE);
  if (path?.length === 1) return fieldColumn(path[0] as string);
  const lift = liftOf(node);
  const typed = typedColumn(node, type);
  if (lift === undefined) return typed;
  return (batch) => {
    const column = dictionaryOf(batch, lift.field);
    if (column === undefined) return typed(batch);
    const entries = lift.results(column.dictionary);
    const open = new Uint8Array(batch.n);
    const codes = new Uint32Array(physicalLength(batch));
    const nulls = new Uint8Array(codes.length);
    for (let i = 0; i < batch.n; i++) {
      const at = batch.at(i);
      const code =
        column.nulls !== null && column.nulls[at] === 1
          ? ResultEntries.FAILED
          : (entries.codes[column.codes[at] as number] as number);
      if (code >= 0) codes[at] = code;
      else if (code === ResultEntries.NULL) nulls[at] = 1;
      else open[i] = 1;
    }
    return { column: { type: "dictionary", codes, dictionary: entries.dictionary, nulls }, open };
  };
}

/** Columns are shared, not copied: `event.field` is the field's own column. */
function fieldColumn(field: string): ColumnForm {
  return ({ columns }) => {
    const column = columns.get(field);
    return column === undefined ? null : { column, open: null };
  };
}

function typedColumn(node: CelNode, type: string): ColumnForm {
  if (type === "bool") return booleanColumn(maskForm(node));
  if (type === "google.protobuf.Timestamp") return timeColumn(timesForm(node));
  if (type === "int" || type === "double" || type === "dyn") return numberColumn(numbersForm(node));
  return () => null;
}

function booleanColumn(form: MaskForm): ColumnForm {
  return (batch) => {
    const mask = form(batch);
    if (mask === null) return null;
    const values = new Uint8Array(physicalLength(batch));
    const open = new Uint8Array(batch.n);
    for (let i = 0; i < batch.n; i++) {
      const known = mask.bytes[i] as number;
      if (known === UNSURE) open[i] = 1;
      else values[batch.at(i)] = known;
    }
    return { column: { type: "boolean", values, nulls: null }, open };
  };
}

function numberColumn(form: NumbersForm): ColumnForm {
  return (batch) => {
    const numbers = form(batch);
    if (numbers === null) return null;
    const values = new Float64Array(physicalLength(batch));
    const open = new Uint8Array(batch.n);
    for (let i = 0; i < batch.n; i++) {
      const value = numbers.values[i] as number;
      // NaN and infinities fail in the row form, which says why.
      if (numbers.unsure?.[i] === 1 || !Number.isFinite(value)) open[i] = 1;
      else values[batch.at(i)] = value === 0 ? 0 : value;
    }
    return { column: { type: "number", values, nulls: null }, open };
  };
}

function timeColumn(form: TimesForm): ColumnForm {
  return (batch) => {
    const times = form(batch);
    if (times === null) return null;
    const values = new Float64Array(physicalLength(batch));
    for (let i = 0; i < batch.n; i++) values[batch.at(i)] = times.values[i] as number;
    return {
      column: { type: "time", values, nulls: null },
      open: times.unsure === null ? null : times.unsure.slice(0, batch.n),
    };
  };
}

/** Selections ascend, so the last message is the furthest one that a column must hold. */
export function physicalLength({ n, selection }: ColumnBatch): number {
  return n === 0 || selection === null ? n : (selection[n - 1] as number) + 1;
}

/** The column that holds `values[i]` for message `i`, of the plainest type that fits them all. */
export function columnOfValues(values: readonly Json[], batch: ColumnBatch | undefined, n: number): Column {
  const length = batch === undefined ? n : physicalLength(batch);
  const at = (i: number): number => batch?.at(i) ?? i;
  const kinds = new Set<string>();
  for (let i = 0; i < n; i++) if (values[i] !== null) kinds.add(typeof values[i]);
  const [kind] = kinds;
  if (kinds.size !== 1 || kind === "object") return jsonColumn(values, length, at);
  const nulls = new Uint8Array(length);
  for (let i = 0; i < n; i++) if (values[i] === null) nulls[at(i)] = 1;
  if (kind === "string") return stringColumn(values, nulls, at);
  const cells = kind === "number" ? new Float64Array(length) : new Uint8Array(length);
  for (let i = 0; i < n; i++) cells[at(i)] = Number(values[i]);
  return cells instanceof Float64Array
    ? { type: "number", values: cells, nulls }
    : { type: "boolean", values: cells, nulls };
}

function jsonColumn(values: readonly Json[], length: number, at: (i: number) => number): Column {
  const cells = new Array<Json>(length).fill(null);
  for (let i = 0; i < values.length; i++) cells[at(i)] = values[i] as Json;
  return { type: "json", values: cells };
}

function stringColumn(values: readonly Json[], nulls: Uint8Array, at: (i: number) => number): Column {
  const dictionary = new Dictionary();
  const codes = new Uint32Array(nulls.length);
  for (let i = 0; i < values.length; i++) if (values[i] !== null) codes[at(i)] = dictionary.code(values[i] as Json);
  return { type: "dictionary", codes, dictionary, nulls };
}
