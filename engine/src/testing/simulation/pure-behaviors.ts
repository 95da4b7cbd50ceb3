/** Stateless behaviors for simulated graphs. Rows are `{ id, key, time, value }`. */
import { type PureBehavior, type PureResult, pureResult } from "../../behavior/pure-behavior.ts";
import { engineError } from "../../errors.ts";
import { type Batch, RowBatch } from "../../frame/batch.ts";
import type { Json, JsonObject } from "../../frame/json.ts";

export interface Row extends JsonObject {
  /** Unique over all sources of a scenario. */
  readonly id: number;
  readonly key: string;
  /** Event time in ms since 1970. */
  readonly time: number;
  readonly value: number;
}

export function rowOf(row: Json): Row {
  // Scenarios write their own rows and keep these fields in all of them.
  return row as Row;
}

export function filterRows(passes: (row: Row) => boolean): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    row: (row) => (passes(rowOf(row)) ? row : undefined),
    transform(batch) {
      const kept: number[] = [];
      for (let i = 0; i < batch.n; i++) if (passes(rowOf(batch.row(i)))) kept.push(i);
      const indices = Uint32Array.from(kept);
      return pureResult(batch.select(indices), indices);
    },
  };
}

export function mapRows(to: (row: Row) => Json): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    row: (row) => to(rowOf(row)),
    transform: (batch) => pureResult(new RowBatch(batch.rows().map((row) => to(rowOf(row))))),
  };
}

/** One message becomes several, or none. */
export function flatMapRows(to: (row: Row) => readonly Json[]): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    expands: true,
    transform(batch) {
      const rows: Json[] = [];
      const sources: number[] = [];
      for (let i = 0; i < batch.n; i++) {
        for (const row of to(rowOf(batch.row(i)))) {
          rows.push(row);
          sources.push(i);
        }
      }
      return pureResult(new RowBatch(rows), Uint32Array.from(sources));
    },
  };
}

/** Passes everything; several edges may lead into it and out of it. */
export function passRows(): PureBehavior {
  return { kind: "pure", ports: ["out"], row: (row) => row, transform: (batch) => pureResult(batch) };
}

/** Sends each row to one of two ports. */
export function switchRows(first: (row: Row) => boolean): PureBehavior {
  const sideOf = (batch: Batch, wanted: boolean): { batch: Batch; sources: Uint32Array } => {
    const kept: number[] = [];
    for (let i = 0; i < batch.n; i++) if (first(rowOf(batch.row(i))) === wanted) kept.push(i);
    const sources = Uint32Array.from(kept);
    return { batch: batch.select(sources), sources };
  };
  return {
    kind: "pure",
    ports: ["out", "other"],
    transform: (batch): PureResult => ({ outputs: [sideOf(batch, true), sideOf(batch, false)], failures: [] }),
  };
}

/** Throws on rows that `isPoison`, always on the same ones. */
export function refusing(behavior: PureBehavior, isPoison: (row: Row) => boolean): PureBehavior {
  const check = (message: Json): void => {
    const row = rowOf(message);
    if (isPoison(row)) throw engineError("MSG-POISON", `row ${row.id} is poison`);
  };
  const { row, ...rest } = behavior;
  return {
    ...rest,
    transform(batch) {
      for (let i = 0; i < batch.n; i++) check(batch.row(i));
      return behavior.transform(batch);
    },
    ...(row === undefined ? {} : { row: checkedRow(row, check) }),
  };
}

/** A row function that `check` may stop by throwing. */
export function checkedRow(row: NonNullable<PureBehavior["row"]>, check: (message: Json) => void): typeof row {
  return (message) => {
    check(message);
    return row(message);
  };
}
