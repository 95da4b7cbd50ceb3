/**
 * How far each lane of a sink is in its target. The cursors live in a table of the target and move in the transaction that
 * writes the rows, so a row that is delivered twice, or late by a dead process, is left out (R27).
 */
import {
  comparePoints,
  fieldOf,
  type InputSlice,
  isJsonObject,
  type Json,
  type JsonObject,
  type Point,
} from "@millrace/engine";

/** `pos/ord` per lane, as it is committed in the log. */
export type Cursors = Readonly<Record<string, string>>;

export const BEFORE_ALL: Point = { pos: -1, ord: 0 };

export function pointOf(text: string | undefined): Point {
  const [pos = BEFORE_ALL.pos, ord = BEFORE_ALL.ord] = text?.split("/").map(Number) ?? [];
  return { pos, ord };
}

export const textOf = ({ pos, ord }: Point): string => `${pos}/${ord}`;

/** The rows above the cursors, in order; `cursors` is moved to where it is once they are written. */
export function freshRows(slices: readonly InputSlice[], cursors: Map<string, Point>): Json[] {
  const rows: Json[] = [];
  for (const { lane, batch, positions } of slices) {
    let cursor = cursors.get(lane) ?? BEFORE_ALL;
    for (let i = 0; i < batch.n; i++) {
      const point = positions.point(i);
      if (comparePoints(point, cursor) <= 0) continue;
      rows.push(batch.row(i));
      cursor = point;
    }
    cursors.set(lane, cursor);
  }
  return rows;
}

/** The first lane that the target has less of than was committed. */
export function laneBehind(committed: Cursors, held: ReadonlyMap<string, Point>): string | undefined {
  return Object.keys(committed).find(
    (lane) => comparePoints(held.get(lane) ?? BEFORE_ALL, pointOf(committed[lane])) < 0,
  );
}

/** Rows that follow one another and name the same columns, so that one statement writes them. */
export interface RowGroup {
  readonly columns: readonly string[];
  readonly rows: readonly JsonObject[];
}

/** Most rows of one statement. */
const GROUP_ROWS_MAX = 2000;

/** @param refuse makes the error of a row that does not fit the table */
export function rowGroups(
  rows: readonly Json[],
  known: ReadonlySet<string>,
  key: readonly string[],
  refuse: (reason: string) => Error,
): readonly RowGroup[] {
  const groups: { columns: readonly string[]; rows: JsonObject[] }[] = [];
  for (const row of rows) {
    if (!isJsonObject(row)) throw refuse("is no object");
    const columns = Object.keys(row);
    if (columns.length === 0) throw refuse("names no column");
    const unknown = columns.find((column) => !known.has(column));
    if (unknown !== undefined) throw refuse(`has \`${unknown}\`, which is no column of it`);
    const lacking = key.find((field) => (fieldOf(row, field) ?? null) === null);
    if (lacking !== undefined) throw refuse(`has no value for \`${lacking}\`, which is of its key`);
    const last = groups.at(-1);
    if (last !== undefined && last.rows.length < GROUP_ROWS_MAX && isSame(last.columns, columns)) last.rows.push(row);
    else groups.push({ columns, rows: [row] });
  }
  return groups;
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, i) => name === other[i]);
}
