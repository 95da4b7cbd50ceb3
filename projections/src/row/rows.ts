import type { Batch, Json, JsonObject } from "@millrace/engine";

/** What a fold may do. Rows and checkpoint commit together; nothing is seen of a fold that throws. */
export interface Rows {
  /** The row whose key fields have these values, in the order of the projection's key. */
  get(...key: readonly Json[]): JsonObject | undefined;
  /** The row whose index field has this value. */
  find(value: Json): JsonObject | undefined;
  /** Puts a row in the place of the one with the same key. */
  put(row: JsonObject): void;
  /** Puts many rows. Columns are written as they are, without making rows of them. */
  putBatch(batch: Batch): void;
  delete(...key: readonly Json[]): void;
}

/** Where rows are kept as bytes: a table of a transaction, or memory. */
export interface RowSpace {
  get(key: Uint8Array): Uint8Array | undefined;
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
}

/** Keeps nothing. */
export const NOWHERE: RowSpace = {
  get: () => undefined,
  put: () => undefined,
  delete: () => undefined,
};

/** How rows are found: what a projection's definition says of it. */
export interface RowLayout {
  readonly key: readonly string[];
  readonly index?: string;
}
