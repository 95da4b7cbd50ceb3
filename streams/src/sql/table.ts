/** Tables as connectors see them, whatever the database: what it knows of one, and how a fault of one is told. */
import type { ErrorOptions } from "@millrace/engine";

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export interface TableShape {
  /** A table that is dropped and made anew has another one. `undefined`: the database cannot tell. */
  readonly identity: string | undefined;
  readonly columns: ReadonlyMap<string, ColumnShape>;
}

export interface ColumnShape {
  readonly type: string;
  readonly isNullable: boolean;
  /** Alone in a unique index over all rows. */
  readonly isUnique: boolean;
}

/** What is wrong with a table, a row for it, or how far it is; each database has codes of its own for it. */
export type TableFault = "ROW" | "KEY" | "BEHIND" | "CURSOR";

/** Makes the error of a fault. */
export type FaultError = (fault: TableFault, message: string, options?: ErrorOptions) => Error;

export const nameOf = ({ schema, table }: TableName): string => `${schema}.${table}`;
