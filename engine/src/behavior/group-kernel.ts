/**
 * What a window node keeps: numbers per group, where a **group** is one key in one tumbling window. A kernel knows neither keys
 * nor expressions, only arrays, so that it can be written in another language; every implementation gives the same numbers, to
 * the last bit, in the same order.
 *
 * A window that has ended takes no more messages; its groups are **due** until they are taken, all at once or in parts. What
 * `accumulate`, `end` and `take` do is a draft until `seal`; `discard` takes it back.
 */

/** How a cell folds messages: it counts all, counts those whose value is null, or folds the values that are not. */
export const CELL_FOLDS = ["messages", "nulls", "sum", "min", "max"] as const;

export type CellFold = (typeof CELL_FOLDS)[number];

export interface CellSpec {
  readonly fold: CellFold;
  /** Which input it reads; -1 for `messages`. */
  readonly input: number;
}

/** Numbers by physical index, finite where they are not null. Cells that only count nulls need no values. */
export interface NumericInput {
  readonly values: Float64Array | Int32Array;
  /** 1 where the value is null; `null`: nowhere. */
  readonly nulls: Uint8Array | null;
}

export interface GroupFrame {
  /** Physical indices of the messages; `null`: all of `0 … n-1`. */
  readonly at: Uint32Array | null;
  /** Finite ms since 1970 by physical index. */
  readonly times: Float64Array;
  /** Number of the key by message, below `keyCount`. */
  readonly keys: Uint32Array;
  readonly keyCount: number;
  readonly inputs: readonly NumericInput[];
}

/** Groups as arrays: start of the window, number of the key, and the values of each cell one cell after the other. */
export interface GroupArrays {
  readonly starts: Float64Array;
  readonly keys: Uint32Array;
  /** Cell `c` of group `i` of `n` is at `c * n + i`. */
  readonly cells: Float64Array;
}

export interface GroupKernel {
  /** Adds messages to their groups, in their order. */
  accumulate(frame: GroupFrame): void;
  /** Ends the windows that end at or before `limit`: by start, then first-seen key. Returns how many groups are due and not taken. */
  end(limit: number): number;
  /** Start of the first window with a group that is due; `NaN` when none is. */
  firstDue(): number;
  /** Takes the first groups that are due, at most `most`, and lists them. Returns how many. */
  take(most: number): number;
  /** Lists the groups changed in this draft that are not taken, in the order of their first change. Returns how many. */
  changed(): number;
  /** Lists all groups that are not taken, by start, then first-seen key. Returns how many. */
  all(): number;
  /** Start of the first window at or after `from` that has a group and has not ended; `NaN` when there is none. */
  nextStart(from: number): number;
  /**
   * Lists one group per key of the windows that have not ended and start in `[from, to)`: its cells put together window by
   * window, its start `from`; by the first window that has the key, then as that one lists it. Changes nothing. Returns how many.
   */
  combine(from: number, to: number): number;
  /** Writes the groups that were listed last into arrays of exactly their size. */
  read(into: GroupArrays): void;
  /** Keeps the draft. Returns how many groups there are. */
  seal(): number;
  discard(): void;
  /** Overwrites groups, made if they are new. Not within a draft. */
  write(groups: GroupArrays, keyCount: number): void;
  /** `numbers[old]` is the new number of a key. Not within a draft. */
  renumber(numbers: Uint32Array): void;
}

export interface GroupKernels {
  /** What does it, as details of a window node show it. */
  readonly name: string;
  /**
   * @param sizeMs length of a window in ms, > 0; windows are aligned to 1970-01-01T00:00Z
   * @param cells at least one
   */
  windows(sizeMs: number, cells: readonly CellSpec[]): GroupKernel;
}
