/**
 * Which rows were there before the changes, and were read: each table as of some place of the server's log. Changes below a table's place
 * are in its rows. Tables are read in the order of their oids, so that few ranges of these say it all, however many tables there are.
 */
import type { Json } from "@millrace/engine";
import { type ChangePoint, lsnOf, lsnText } from "./lsn.ts";

export interface RowsRead {
  /** In the order of `through`: tables up to this oid, and above that of the one before, hold what committed below `lsn`. */
  readonly read: readonly { readonly through: number; readonly lsn: bigint }[];
  /** The table that is being read: some of its rows may have been taken. */
  readonly reading?: TableInPart | undefined;
}

export interface TableInPart {
  readonly schema: string;
  readonly table: string;
}

/** Of any table. */
export const OID_MAX = 2 ** 32 - 1;

export const NO_ROWS_READ: RowsRead = { read: [] };

export function throughOf({ read }: RowsRead): number {
  return read.at(-1)?.through ?? 0;
}

/** Whether a change of a table, in a transaction that committed at `lsn`, is in rows that were read. */
export function isInRows(rows: RowsRead | undefined, oid: number, lsn: bigint): boolean {
  const range = rows?.read.find(({ through }) => oid <= through);
  return range !== undefined && lsn < range.lsn;
}

/** All tables up to `through` are read. */
export function readThrough({ read }: RowsRead, through: number, lsn: bigint): RowsRead {
  const others = read.at(-1)?.lsn === lsn ? read.slice(0, -1) : read;
  return { read: [...others, { through, lsn }] };
}

/** Forgotten once all are read and the changes are past them. */
export function rowsAt(rows: RowsRead | undefined, { lsn }: ChangePoint): RowsRead | undefined {
  if (rows === undefined || throughOf(rows) < OID_MAX) return rows;
  return rows.read.every((range) => range.lsn <= lsn) ? undefined : rows;
}

export function rowsJson({ read, reading }: RowsRead): Json {
  const ranges = read.map(({ through, lsn }) => [through, lsnText(lsn)]);
  return { read: ranges, ...(reading === undefined ? {} : { reading: { ...reading } }) };
}

export function rowsOf(json: Json): RowsRead {
  // Written by `rowsJson` above.
  const { read, reading } = json as unknown as {
    readonly read: readonly [number, string][];
    readonly reading?: TableInPart;
  };
  return { read: read.map(([through, lsn]) => ({ through, lsn: lsnOf(lsn) })), reading };
}
