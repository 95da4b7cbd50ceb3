/**
 * The state of a window node: groups of open windows in dense arrays. A **group** is one key in one window and has a **slot**;
 * each cell of the plan is one array over slots, so that accumulating a frame is one tight loop per cell. Slots of closed
 * windows are used again.
 *
 * A window that has ended takes no more messages; its groups are **due** until they are taken, all at once or in parts.
 *
 * Changes since the last `seal` can be undone: the first touch of a group in a draft saves its cells, taken groups keep
 * their slots until then. Groups of a window are in first-seen order, also after an undo and after a fold.
 */
import { invariant, type Json } from "@millrace/engine";
import { type CellFold, type CellSpec, initialOf } from "./aggregate.ts";
import { KeyTable } from "./key-table.ts";
import { type WindowInput, windowStart } from "./window-input.ts";

interface OpenWindow {
  readonly start: number;
  /** In first-seen order of their keys. */
  readonly slots: number[];
  /** Slot + 1 by key number; 0 where there is none. */
  slotByKey: Int32Array;
}

const SLOTS_AT_FIRST = 256;
/** A key table smaller than this is not worth compacting. */
const KEYS_KEPT = 4096;

export class OpenWindows {
  readonly sizeMs: number;
  keys: KeyTable;
  /** Values by slot, one array per cell of the plan. */
  readonly cells: Float64Array[];
  readonly #folds: readonly CellFold[];
  readonly #initial: readonly number[];
  readonly #windows = new Map<number, OpenWindow>();
  #lowest = Number.POSITIVE_INFINITY;
  #capacity = SLOTS_AT_FIRST;
  #used = 0;
  readonly #free: number[] = [];
  #keyOfSlot = new Int32Array(SLOTS_AT_FIRST);
  #startOfSlot = new Float64Array(SLOTS_AT_FIRST);
  /** Number of the draft that touched a slot last. */
  #touchedIn = new Uint32Array(SLOTS_AT_FIRST);
  #draft = 1;
  readonly #touched: number[] = [];
  /** Saved cells of touched slots, in their order; of a group made in this draft `NaN`. */
  readonly #saved: number[] = [];
  /** Windows that ended in this draft. */
  readonly #ended: OpenWindow[] = [];
  /** Slots of the windows that have ended, by window start, then first-seen key; those before `#taken` are taken. */
  #due: number[] = [];
  #taken = 0;
  /** Of them, those that were there before this draft. */
  #dueBefore = 0;

  constructor(sizeMs: number, keyFields: number, cells: readonly CellSpec[]) {
    this.sizeMs = sizeMs;
    this.keys = new KeyTable(keyFields);
    this.#folds = cells.map((cell) => cell.fold);
    this.#initial = this.#folds.map(initialOf);
    this.cells = cells.map(() => new Float64Array(SLOTS_AT_FIRST));
  }

  /** Groups changed in this draft that are not taken, in the order of their first change. */
  get changed(): readonly number[] {
    if (this.#taken === 0) return this.#touched;
    const taken = new Set(this.#due.slice(0, this.#taken));
    return this.#touched.filter((slot) => !taken.has(slot));
  }

  /** Slots of all groups that are not taken, by window start, then first-seen key. */
  get all(): readonly number[] {
    const open = [...this.#windows.values()].sort(byStart);
    return [...this.#due.slice(this.#taken), ...open.flatMap((window) => window.slots)];
  }

  /** Groups of windows that have ended, not taken yet. */
  get due(): number {
    return this.#due.length - this.#taken;
  }

  /** There were such groups before this draft. */
  get wasDue(): boolean {
    return this.#dueBefore > 0;
  }

  /** Start of the first window with a group that is due. */
  get firstDue(): number | undefined {
    const slot = this.#due[this.#taken];
    return slot === undefined ? undefined : this.startOf(slot);
  }

  startOf(slot: number): number {
    return this.#startOfSlot[slot] as number;
  }

  keyOf(slot: number): number {
    return this.#keyOfSlot[slot] as number;
  }

  /** Adds messages to their groups, on the draft. */
  accumulate(input: WindowInput, specs: readonly CellSpec[]): void {
    const keys = this.keys.fields === 0 ? this.#onlyKey(input.n) : this.keys.ids(input.keys, input.at, input.n);
    const slots = this.#slotsOf(input, keys);
    for (const [i, spec] of specs.entries()) addTo(this.cells[i] as Float64Array, spec, slots, input);
  }

  /** Ends the windows up to `limit`, on the draft. */
  end(limit: number): void {
    if (this.#lowest + this.sizeMs > limit) return;
    const ended = [...this.#windows.values()].filter((window) => window.start + this.sizeMs <= limit).sort(byStart);
    for (const window of ended) {
      this.#windows.delete(window.start);
      this.#ended.push(window);
      for (const slot of window.slots) this.#due.push(slot);
    }
    this.#lowest = lowestOf(this.#windows.keys());
  }

  /** Takes the first groups that are due, at most `most`, on the draft. */
  take(most: number): readonly number[] {
    const from = this.#taken;
    this.#taken = Math.min(this.#due.length, from + most);
    return this.#due.slice(from, this.#taken);
  }

  seal(): void {
    for (let i = 0; i < this.#taken; i++) this.#free.push(this.#due[i] as number);
    if (this.#taken > 0) this.#due = this.#due.slice(this.#taken);
    this.#taken = 0;
    this.#dueBefore = this.#due.length;
    this.#ended.length = 0;
    this.#endDraft();
    if (this.keys.size > KEYS_KEPT && this.keys.size > 4 * (this.#used - this.#free.length)) this.#compactKeys();
  }

  discard(): void {
    for (const window of this.#ended) this.#windows.set(window.start, window);
    this.#ended.length = 0;
    this.#due.length = this.#dueBefore;
    this.#taken = 0;
    const width = this.cells.length;
    for (let i = this.#touched.length - 1; i >= 0; i--) {
      const slot = this.#touched[i] as number;
      if (Number.isNaN(this.#saved[i * width])) this.#unmake(slot);
      else for (let c = 0; c < width; c++) (this.cells[c] as Float64Array)[slot] = this.#saved[i * width + c] as number;
    }
    this.#lowest = lowestOf(this.#windows.keys());
    this.#endDraft();
  }

  /** The group of a logged change, made if it is new. Not part of a draft. */
  slotFor(start: number, key: readonly Json[]): number {
    const id = this.keys.id(key);
    const window = this.#windowAt(start);
    const known = this.#slotIn(window, id);
    return known >= 0 ? known : this.#make(window, id);
  }

  #onlyKey(n: number): Uint32Array {
    this.keys.id([]);
    return new Uint32Array(n);
  }

  #slotsOf({ at, n, times }: WindowInput, keys: Uint32Array): Uint32Array {
    const slots = new Uint32Array(n);
    const draft = this.#draft;
    let start = Number.NaN;
    let end = Number.NaN;
    let window: OpenWindow | undefined;
    for (let i = 0; i < n; i++) {
      const t = times[at === null ? i : (at[i] as number)] as number;
      if (window === undefined || t < start || t >= end) {
        start = windowStart(t, this.sizeMs);
        end = start + this.sizeMs;
        window = this.#windowAt(start);
      }
      const key = keys[i] as number;
      let slot = (window.slotByKey[key] ?? 0) - 1;
      if (slot < 0) {
        slot = this.#make(window, key);
        this.#touch(slot, true);
      } else if (this.#touchedIn[slot] !== draft) this.#touch(slot, false);
      slots[i] = slot;
    }
    return slots;
  }

  #windowAt(start: number): OpenWindow {
    const known = this.#windows.get(start);
    if (known !== undefined) return known;
    const window = { start, slots: [], slotByKey: new Int32Array(roomFor(this.keys.size)) };
    this.#windows.set(start, window);
    if (start < this.#lowest) this.#lowest = start;
    return window;
  }

  #slotIn(window: OpenWindow, key: number): number {
    return (window.slotByKey[key] ?? 0) - 1;
  }

  #make(window: OpenWindow, key: number): number {
    const slot = this.#free.pop() ?? this.#nextSlot();
    if (key >= window.slotByKey.length) {
      const grown = new Int32Array(roomFor(this.keys.size));
      grown.set(window.slotByKey);
      window.slotByKey = grown;
    }
    window.slotByKey[key] = slot + 1;
    window.slots.push(slot);
    this.#keyOfSlot[slot] = key;
    this.#startOfSlot[slot] = window.start;
    for (let c = 0; c < this.cells.length; c++) (this.cells[c] as Float64Array)[slot] = this.#initial[c] as number;
    return slot;
  }

  /** Takes back the newest group of its window. */
  #unmake(slot: number): void {
    const start = this.#startOfSlot[slot] as number;
    const window = this.#windows.get(start);
    invariant(
      window !== undefined && window.slots.at(-1) === slot,
      "groups are unmade in reverse order of their making",
    );
    window.slots.pop();
    window.slotByKey[this.#keyOfSlot[slot] as number] = 0;
    if (window.slots.length === 0) this.#windows.delete(start);
    this.#free.push(slot);
  }

  #nextSlot(): number {
    if (this.#used === this.#capacity) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const [c, cell] of this.cells.entries()) this.cells[c] = grown(cell, new Float64Array(this.#capacity));
    this.#keyOfSlot = grown(this.#keyOfSlot, new Int32Array(this.#capacity));
    this.#startOfSlot = grown(this.#startOfSlot, new Float64Array(this.#capacity));
    this.#touchedIn = grown(this.#touchedIn, new Uint32Array(this.#capacity));
  }

  #touch(slot: number, isNew: boolean): void {
    this.#touchedIn[slot] = this.#draft;
    this.#touched.push(slot);
    for (let c = 0; c < this.cells.length; c++)
      this.#saved.push(isNew ? Number.NaN : ((this.cells[c] as Float64Array)[slot] as number));
  }

  #endDraft(): void {
    this.#draft++;
    this.#touched.length = 0;
    this.#saved.length = 0;
  }

  /** Forgets keys that no group has, so that keys which never return do not fill the memory. */
  #compactKeys(): void {
    const old = this.keys;
    this.keys = new KeyTable(old.fields);
    const renumber = (slot: number): void => {
      this.#keyOfSlot[slot] = this.keys.id(old.key(this.#keyOfSlot[slot] as number));
    };
    for (const slot of this.#due) renumber(slot);
    for (const window of this.#windows.values()) for (const slot of window.slots) renumber(slot);
    for (const window of this.#windows.values()) {
      window.slotByKey = new Int32Array(roomFor(this.keys.size));
      for (const slot of window.slots) window.slotByKey[this.#keyOfSlot[slot] as number] = slot + 1;
    }
  }
}

function byStart(a: OpenWindow, b: OpenWindow): number {
  return a.start - b.start;
}

function addTo(
  cell: Float64Array,
  { fold, input }: CellSpec,
  slots: Uint32Array,
  { at, values: inputs, n }: WindowInput,
): void {
  if (fold === "messages") {
    for (let i = 0; i < n; i++) (cell[slots[i] as number] as number)++;
    return;
  }
  const source = inputs[input];
  invariant(source !== undefined, "every cell reads an input of the plan");
  if (fold === "nulls") addNulls(cell, slots, at, n, source.nulls);
  else if (fold === "sum") addSum(cell, slots, at, n, source.values, source.nulls);
  else if (fold === "max") addMax(cell, slots, at, n, source.values, source.nulls);
  else addMin(cell, slots, at, n, source.values, source.nulls);
}

type Values = Float64Array | Int32Array;

function addNulls(
  cell: Float64Array,
  slots: Uint32Array,
  at: Uint32Array | null,
  n: number,
  nulls: Uint8Array | null,
): void {
  if (nulls === null) return;
  for (let i = 0; i < n; i++)
    (cell[slots[i] as number] as number) += nulls[at === null ? i : (at[i] as number)] as number;
}

function addSum(
  cell: Float64Array,
  slots: Uint32Array,
  at: Uint32Array | null,
  n: number,
  values: Values,
  nulls: Uint8Array | null,
): void {
  for (let i = 0; i < n; i++) {
    const from = at === null ? i : (at[i] as number);
    if (nulls === null || nulls[from] === 0) (cell[slots[i] as number] as number) += values[from] as number;
  }
}

function addMax(
  cell: Float64Array,
  slots: Uint32Array,
  at: Uint32Array | null,
  n: number,
  values: Values,
  nulls: Uint8Array | null,
): void {
  for (let i = 0; i < n; i++) {
    const from = at === null ? i : (at[i] as number);
    const value = values[from] as number;
    if (value > (cell[slots[i] as number] as number) && (nulls === null || nulls[from] === 0))
      cell[slots[i] as number] = value;
  }
}

function addMin(
  cell: Float64Array,
  slots: Uint32Array,
  at: Uint32Array | null,
  n: number,
  values: Values,
  nulls: Uint8Array | null,
): void {
  for (let i = 0; i < n; i++) {
    const from = at === null ? i : (at[i] as number);
    const value = values[from] as number;
    if (value < (cell[slots[i] as number] as number) && (nulls === null || nulls[from] === 0))
      cell[slots[i] as number] = value;
  }
}

function lowestOf(starts: Iterable<number>): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (const start of starts) if (start < lowest) lowest = start;
  return lowest;
}

/** Room for keys still to come, so that a window's index is rarely grown. */
function roomFor(keys: number): number {
  return Math.max(64, keys + (keys >> 1));
}

function grown<A extends Float64Array | Int32Array | Uint32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
