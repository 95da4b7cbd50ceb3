/**
 * Reshapes messages, one to one: computes fields, keeps or removes fields, or replaces the whole message by a value. The
 * steps run in the order `set`, `select`, `drop`; every expression sees the message as it came in.
 */
import {
  type Batch,
  type Column,
  ColumnBatch,
  cell,
  isJsonObject,
  type Json,
  type MessageFailure,
  type PureBehavior,
  pureResult,
  RowBatch,
} from "@millrace/engine";
import { actorError } from "./errors.ts";
import type { Expression } from "./expression.ts";
import { survivorsOf, withoutFailed } from "./survivors.ts";

export interface MapOptions {
  /** Fields to compute; an existing field of that name is replaced where it stands. */
  readonly set?: ReadonlyMap<string, Expression>;
  /** Fields to keep, in this order; one that a message lacks is left out. Absent: all. */
  readonly select?: readonly string[];
  /** Fields to remove. */
  readonly drop?: readonly string[];
  /** The message becomes this value. Not together with the other options. */
  readonly value?: Expression;
}

type Field = readonly [name: string, column: Column];

export function map(options: MapOptions): PureBehavior {
  const { value } = options;
  return value === undefined ? mapFields(options) : mapValue(value);
}

function mapValue(value: Expression): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch) {
      const { column, failures } = value.column(batch);
      const left = survivorsOf(batch.n, failures);
      const rows: Json[] = [];
      for (let i = 0; i < (left?.length ?? batch.n); i++)
        rows.push(cell(column, physical(batch, left === null ? i : (left[i] as number))));
      return pureResult(new RowBatch(rows), left, failures);
    },
    row: (row) => value.row(row),
  };
}

function mapFields(options: MapOptions): PureBehavior {
  const set = [...(options.set ?? [])];
  const drop = new Set(options.drop);
  const { select } = options;
  const shape = (row: Json, computed: readonly (readonly [string, Json])[]): Json => {
    const fields = new Map(Object.entries(isJsonObject(row) ? row : notAnObject()));
    for (const [name, value] of computed) fields.set(name, value);
    return Object.fromEntries(shaped(fields, select, drop));
  };
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch) {
      const failures: MessageFailure[] = [];
      const computed = set.map(([name, expression]): Field => {
        const result = expression.column(batch);
        failures.push(...result.failures);
        return [name, result.column];
      });
      if (batch instanceof ColumnBatch) return withoutFailed(withFields(batch, computed, select, drop), failures);
      const rows = batch.rows().map((row, i) => {
        if (!isJsonObject(row)) failures.push({ index: i, error: notObjectError() });
        return isJsonObject(row)
          ? shape(
              row,
              computed.map(([name, column]) => [name, cell(column, i)]),
            )
          : null;
      });
      return withoutFailed(new RowBatch(rows), failures);
    },
    row: (row) =>
      shape(
        row,
        set.map(([name, expression]) => [name, expression.row(row)]),
      ),
  };
}

function withFields(
  batch: ColumnBatch,
  computed: readonly Field[],
  select: readonly string[] | undefined,
  drop: ReadonlySet<string>,
): ColumnBatch {
  const columns = new Map(batch.columns);
  for (const [name, column] of computed) columns.set(name, column);
  return new ColumnBatch(shaped(columns, select, drop), batch.selection, batch.n);
}

function shaped<T>(
  fields: ReadonlyMap<string, T>,
  select: readonly string[] | undefined,
  drop: ReadonlySet<string>,
): Map<string, T> {
  const kept = new Map<string, T>();
  for (const name of select ?? fields.keys())
    if (fields.has(name) && !drop.has(name)) kept.set(name, fields.get(name) as T);
  return kept;
}

function physical(batch: Batch, i: number): number {
  return batch instanceof ColumnBatch ? batch.at(i) : i;
}

function notObjectError(): Error {
  return actorError("EXPR-RESULT", "a message that is not an object has no fields to map");
}

function notAnObject(): never {
  throw notObjectError();
}
