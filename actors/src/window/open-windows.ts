/** The state of a window node whose windows do not overlap: keys by value, and their groups as a kernel keeps them. */
import {
  type CellSpec,
  type GroupArrays,
  type GroupKernel,
  type GroupKernels,
  InvariantViolation,
  type StateEvent,
} from "@millrace/engine";
import type { Groups } from "./groups.ts";
import { KeyTable } from "./key-table.ts";
import { scriptGroups } from "./script-groups.ts";
import type { WindowInput } from "./window-input.ts";
import type { WindowSnapshot, WindowState } from "./window-state.ts";

/** A key table smaller than this is not worth compacting. */
const KEYS_KEPT = 4096;

export class OpenWindows implements WindowState {
  readonly sizeMs: number;
  readonly #kernel: GroupKernel;
  readonly #width: number;
  #keys: KeyTable;
  #due = 0;
  #dueBefore = 0;

  /** @param kernels by default those in TypeScript */
  constructor(sizeMs: number, keyFields: number, cells: readonly CellSpec[], kernels: GroupKernels = scriptGroups) {
    this.sizeMs = sizeMs;
    this.#kernel = kernels.windows(sizeMs, cells);
    this.#width = cells.length;
    this.#keys = new KeyTable(keyFields);
  }

  get keyFields(): number {
    return this.#keys.fields;
  }

  /** Keys that are known, open or not. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** Bytes that the largest key takes at most, roughly. */
  get keyBytesMax(): number {
    return this.#keys.bytesMax;
  }

  get isDue(): boolean {
    return this.#due > 0;
  }

  /** How many groups of windows that have ended are not taken yet. */
  get left(): StateEvent {
    return this.#due;
  }

  /** There were such groups before this draft. */
  get wasDue(): boolean {
    return this.#dueBefore > 0;
  }

  /** Start of the first window with a group that is due. */
  get firstDue(): number | undefined {
    return this.#due === 0 ? undefined : this.#kernel.firstDue();
  }

  /** Adds messages to their groups, on the draft. */
  accumulate({ at, n, times, keys: columns, values: inputs }: WindowInput): void {
    const keys = this.#keys.fields === 0 ? this.#onlyKey(n) : this.#keys.ids(columns, at, n);
    this.#kernel.accumulate({ at, times, keys, keyCount: this.#keys.size, inputs });
  }

  /** Ends the windows up to `limit`, on the draft. */
  end(limit: number): void {
    this.#due = this.#kernel.end(limit);
  }

  /** Takes the first groups that are due, at most `most`, on the draft. */
  take(most: number): Groups {
    const n = this.#kernel.take(most);
    this.#due -= n;
    return this.#read(n);
  }

  leave(left: StateEvent | undefined = 0): void {
    if (typeof left !== "number") throw new InvariantViolation("not what a window node left for later steps");
    this.#due -= this.#kernel.take(this.#due - left);
  }

  /** Groups changed in this draft that are not taken, in the order of their first change. `undefined`: there are none. */
  changed(): Groups | undefined {
    const n = this.#kernel.changed();
    return n === 0 ? undefined : this.#read(n);
  }

  /** All groups that are not taken, by window start, then first-seen key. */
  all(): Groups {
    return this.#read(this.#kernel.all());
  }

  /** Start of the first window at or after `from` that is open; `NaN` when there is none. */
  nextStart(from: number): number {
    return this.#kernel.nextStart(from);
  }

  /** The open windows that start in `[from, to)` as one that starts at `from`. */
  combined(from: number, to: number): Groups {
    return this.#read(this.#kernel.combine(from, to));
  }

  seal(): void {
    const groups = this.#kernel.seal();
    this.#dueBefore = this.#due;
    if (this.#keys.size > KEYS_KEPT && this.#keys.size > 4 * groups) this.#compactKeys();
  }

  discard(): void {
    this.#kernel.discard();
    this.#due = this.#dueBefore;
  }

  /** Overwrites groups of logged changes, made if they are new. Not part of a draft. */
  write({ n, starts, keys, cells }: Groups): void {
    const all = new Float64Array(n * this.#width);
    for (const [c, cell] of cells.entries()) all.set(cell, c * n);
    const ids = Uint32Array.from(keys.map((key) => this.#keys.id(key)));
    this.#kernel.write({ starts, keys: ids, cells: all }, this.#keys.size);
  }

  snapshot(): WindowSnapshot {
    return { groups: this.all() };
  }

  restore({ groups }: WindowSnapshot, limit: number): void {
    this.write(groups);
    this.end(limit);
  }

  #onlyKey(n: number): Uint32Array {
    this.#keys.id([]);
    return new Uint32Array(n);
  }

  #read(n: number): Groups {
    const { starts, keys: ids, cells } = this.#arrays(n);
    const keys = new Array<Groups["keys"][number]>(n);
    for (let i = 0; i < n; i++) keys[i] = this.#keys.key(ids[i] as number);
    return {
      n,
      starts,
      keys,
      cells: Array.from({ length: this.#width }, (_, c) => cells.subarray(c * n, (c + 1) * n)),
    };
  }

  #arrays(n: number): GroupArrays {
    const arrays = {
      starts: new Float64Array(n),
      keys: new Uint32Array(n),
      cells: new Float64Array(n * this.#width),
    };
    this.#kernel.read(arrays);
    return arrays;
  }

  /** Forgets keys that no group has, so that keys which never return do not fill the memory. */
  #compactKeys(): void {
    const old = this.#keys;
    const numbers = new Uint32Array(old.size);
    this.#keys = new KeyTable(old.fields);
    for (const key of this.#arrays(this.#kernel.all()).keys) numbers[key] = this.#keys.id(old.key(key));
    this.#kernel.renumber(numbers);
  }
}
