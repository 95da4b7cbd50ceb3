/** The cursor of a source of changes, as it is committed in Millrace's log. */
import type { Json, JsonObject } from "@millrace/engine";
import { type ChangePoint, lsnOf, lsnText } from "./lsn.ts";
import { type RowsRead, rowsAt, rowsJson, rowsOf } from "./rows-read.ts";

export interface ChangeCursor extends ChangePoint {
  /** The server's own number of its database cluster; places of another one mean other changes. */
  readonly system: string;
  /** Absent: no rows are to be read, and the changes are past those that were. */
  readonly rows?: RowsRead | undefined;
}

/** The cursor at a later place. */
export function cursorAt(system: string, { lsn, ord }: ChangePoint, rows: RowsRead | undefined): ChangeCursor {
  return { system, lsn, ord, rows: rowsAt(rows, { lsn, ord }) };
}

export function cursorJson({ system, lsn, ord, rows }: ChangeCursor): JsonObject {
  return { system, lsn: lsnText(lsn), ord, ...(rows === undefined ? {} : { rows: rowsJson(rows) }) };
}

export function cursorOf(json: Json | undefined): ChangeCursor | undefined {
  if (json === undefined) return undefined;
  // Written by `cursorJson` above.
  const { system, lsn, ord, rows } = json as unknown as WrittenCursor;
  return { system, lsn: lsnOf(lsn), ord, rows: rows === undefined ? undefined : rowsOf(rows) };
}

interface WrittenCursor {
  readonly system: string;
  readonly lsn: string;
  readonly ord: number;
  readonly rows?: Json;
}
