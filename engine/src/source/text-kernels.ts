/**
 * A faster reader for the plain records of text files. It takes as many as it is sure of in one call and leaves the first that
 * it is not sure of to its caller, who reads any record: what is taken has the values that the caller would have read, and all
 * errors are the caller's.
 */

/** Types of the cells of a field; `undefined`: by what each looks like. */
export type CellType = "text" | "number" | "boolean" | undefined;

/** What a cell is; its slot holds the rest. */
export const CELL = {
  null: 0,
  /** The slot is the number. */
  number: 1,
  /** The slot's lower word is 0 or 1. */
  boolean: 2,
  /** The slot's lower word is the number of a text in the list of the field. */
  known: 3,
  /** The slot's words are start and end of the text in {@link CellTable.latin}. */
  text: 4,
  /** The same in {@link CellTable.wide}. */
  wideText: 5,
  /** As of a text: an object or array, as JSON. */
  json: 6,
  wideJson: 7,
} as const;

/** Numbers for each new text in {@link CellTable.fresh}: field, start, end, 1 if it is in {@link CellTable.wide}. */
export const FRESH_WORDS = 4;

/** Arrays that a kernel fills, none overlapping another or the bytes. The cell of `field` in `row` is at `field * capacity + row`. */
export interface CellTable {
  /** Rows. */
  readonly capacity: number;
  readonly kinds: Uint8Array;
  /** Slots, in three views of the same bytes. */
  readonly numbers: Float64Array;
  readonly words: Uint32Array;
  readonly bits: BigUint64Array;
  /** By row: the index in the bytes behind the line end of its record. */
  readonly ends: Uint32Array;
  /** Texts that are new in their field's list, in the order of their numbers; at least `FRESH_WORDS` for each field. */
  readonly fresh: Uint32Array;
  /** By field: `1 << kind` of every cell that was added, or-ed to what was there. */
  readonly seen: Uint8Array;
  /** Texts of the last call in Latin-1, not escaped. At least as long as the bytes that it was to read. */
  readonly latin: Uint8Array;
  /** The same in UTF-16: texts that have other characters. */
  readonly wide: Uint16Array;
  /** What the last call did: rows added, index of the first byte not taken, new texts, 1 if what begins there is whole and refused. */
  readonly run: Uint32Array;
}

export interface RecordKernel {
  /**
   * Takes records that lie whole in `bytes`, from the one that begins at `from`, into the rows from `row` on up to `rowsMax`; blank
   * lines between them count as taken.
   *
   * @throws Error `table` has another shape, or `from` lies outside
   */
  read(bytes: Uint8Array, from: number, table: CellTable, row: number, rowsMax: number): void;
  /** Begins the field's list of texts anew, or has none from now on: its cells are then never `known`. Lists only grow. */
  listTexts(field: number, isListed: boolean): void;
}

export interface TextKernels {
  /**
   * For records of CSV under a header with so many fields. `undefined` when the delimiter is not one that it can look for.
   *
   * @param recordBytesMax longer records are left to the caller
   */
  csv(delimiter: string, types: readonly CellType[], recordBytesMax: number): RecordKernel | undefined;
  /** For objects, one a line, with exactly these fields in this order. Names must be the same inside of a JSON string. */
  json(names: readonly string[], recordBytesMax: number): RecordKernel;
}
