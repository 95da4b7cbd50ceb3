/** A run of a columnar file's rows, decoded. */
/** A column in a form that crosses a thread border by transfer. */
export type FlatColumn =
  | { readonly type: "number" | "time"; readonly values: Float64Array; readonly nulls: Uint8Array | null }
  | { readonly type: "boolean"; readonly values: Uint8Array; readonly nulls: Uint8Array | null }
  | {
      readonly type: "text";
      readonly codes: Uint32Array;
      readonly nulls: Uint8Array | null;
      readonly entries: readonly string[];
    }
  | { readonly type: "json"; readonly values: readonly unknown[] };

export interface RowGroup {
  /** Index of its first row in the file. */
  readonly first: number;
  readonly n: number;
  readonly columns: readonly (readonly [name: string, column: FlatColumn])[];
}

export interface RowRange {
  readonly rowStart: number;
  readonly rowEnd: number;
}

/** The row groups of a file from some row on, each decoded once. */
export interface RowGroups {
  /** The next one, or `undefined` at the end of the file. */
  next(): Promise<RowGroup | undefined>;
  close(): Promise<void>;
}

/** Buffers that only this group holds, to hand over instead of copying. */
export function buffersOf(group: RowGroup): ArrayBuffer[] {
  return group.columns.flatMap(([, column]) => {
    if (column.type === "json") return [];
    const nulls = column.nulls === null ? [] : [column.nulls.buffer as ArrayBuffer];
    return [(column.type === "text" ? column.codes : column.values).buffer as ArrayBuffer, ...nulls];
  });
}
