/**
 * Groups of open windows in dense arrays, in TypeScript: the kernel where no faster one is to be had. A group has a **slot**; each
 * cell is one array over slots, so that accumulating a frame is one tight loop per cell. Slots of taken groups are used again.
 *
 * Changes since the last `seal` can be undone: the first touch of a group in a draft saves its cells, taken groups keep
 * their slots until then. Groups of a window are in first-seen order, also after an undo and after a fold.
 */
import {
  type CellFold,
  type CellSpec,
  type GroupArrays,
  type GroupFrame,
  type GroupKernel,
  type GroupKernels,
  invariant,
  type NumericInput,
} from "@millrace/engine";
import { windowStart } from "./span.ts";

export const scriptGroups: GroupKernels = {
  name: "typescript",
  windows: (sizeMs, cells) => new ScriptGroups(sizeMs, cells),
};

interface OpenWindow {
  readonly start: number;
  /** In first-seen order of their keys. */
  readonly slots: number[];
  /** Slot + 1 by key number; 0 where there is none. */
  slotByKey: Int32Array;
}

const SLOTS_AT_FIRST = 256;

class ScriptGroups implements GroupKernel {
  readonly #sizeMs: number;
  readonly #specs: readonly CellSpec[];
  readonly #initial: readonly number[];
  /** Values by slot, one array per cell. */
  readonly #cells: Float64Array[];
  readonly #windows = new Map<number, OpenWindow>();
  #lowest = Number.POSITIVE_INFINITY;
  #capacity = SLOTS_AT_FIRST;
  #used = 0;
  readonly #free: number[] = [];
  #keyOfSlot = new Uint32Array(SLOTS_AT_FIRST);
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
  #listed: readonly number[] = [];
  /** Instead of them, where those that were listed last are no slots. */
  #combined: GroupArrays | undefined;

  constructor(sizeMs: number, specs: readonly CellSpec[]) {
    this.#sizeMs = sizeMs;
    this.#specs = specs;
    this.#initial = specs.map((spec) => initialOf(spec.fold));
    this.#cells = specs.map(() => new Float64Array(SLOTS_AT_FIRST));
  }

  accumulate(frame: GroupFrame): void {
    const slots = this.#slotsOf(frame);
    for (const [c, spec] of this.#specs.entries()) addTo(this.#cells[c] as Float64Array, spec, slots, frame);
  }

  end(limit: number): number {
    if (this.#lowest + this.#sizeMs <= limit) {
      for (const window of this.#sorted().filter(({ start }) => start + this.#sizeMs <= limit)) {
        this.#windows.delete(window.start);
        this.#ended.push(window);
        for (const slot of window.slots) this.#due.push(slot);
      }
      this.#lowest = lowestOf(this.#windows.keys());
    }
    return this.#due.length - this.#taken;
  }

  firstDue(): number {
    const slot = this.#due[this.#taken];
    return slot === undefined ? Number.NaN : (this.#startOfSlot[slot] as number);
  }

  take(most: number): number {
    const from = this.#taken;
    this.#taken = Math.min(this.#due.length, from + most);
    return this.#list(this.#due.slice(from, this.#taken));
  }

  changed(): number {
    if (this.#taken === 0) return this.#list(this.#touched);
    const taken = new Set(this.#due.slice(0, this.#taken));
    return this.#list(this.#touched.filter((slot) => !taken.has(slot)));
  }

  all(): number {
    return this.#list([...this.#due.slice(this.#taken), ...this.#sorted().flatMap((window) => window.slots)]);
  }

  nextStart(from: number): number {
    const next = lowestOf([...this.#windows.keys()].filter((start) => start >= from));
    return next === Number.POSITIVE_INFINITY ? Number.NaN : next;
  }

  combine(from: number, to: number): number {
    const slots = this.#sorted()
      .filter(({ start }) => start >= from && start < to)
      .flatMap((window) => window.slots);
    const { keys, places } = this.#placesOf(slots);
    const n = keys.length;
    const cells = new Float64Array(n * this.#specs.length);
    for (const [c, { fold }] of this.#specs.entries()) {
      const into = cells.subarray(c * n, (c + 1) * n).fill(initialOf(fold));
      combineCells(into, fold, places, this.#cells[c] as Float64Array, slots);
    }
    this.#combined = { starts: new Float64Array(n).fill(from), keys, cells };
    return n;
  }

  read({ starts, keys, cells }: GroupArrays): void {
    if (this.#combined !== undefined) {
      starts.set(this.#combined.starts);
      keys.set(this.#combined.keys);
      cells.set(this.#combined.cells);
      return;
    }
    const slots = this.#listed;
    const n = slots.length;
    for (let i = 0; i < n; i++) {
      const slot = slots[i] as number;
      starts[i] = this.#startOfSlot[slot] as number;
      keys[i] = this.#keyOfSlot[slot] as number;
    }
    for (const [c, cell] of this.#cells.entries())
      for (let i = 0; i < n; i++) cells[c * n + i] = cell[slots[i] as number] as number;
  }

  seal(): number {
    for (let i = 0; i < this.#taken; i++) this.#free.push(this.#due[i] as number);
    if (this.#taken > 0) this.#due = this.#due.slice(this.#taken);
    this.#taken = 0;
    this.#dueBefore = this.#due.length;
    this.#ended.length = 0;
    this.#endDraft();
    return this.#used - this.#free.length;
  }

  discard(): void {
    for (const window of this.#ended) this.#windows.set(window.start, window);
    this.#ended.length = 0;
    this.#due.length = this.#dueBefore;
    this.#taken = 0;
    const width = this.#cells.length;
    for (let i = this.#touched.length - 1; i >= 0; i--) {
      const slot = this.#touched[i] as number;
      if (Number.isNaN(this.#saved[i * width])) this.#unmake(slot);
      else
        for (let c = 0; c < width; c++) (this.#cells[c] as Float64Array)[slot] = this.#saved[i * width + c] as number;
    }
    this.#lowest = lowestOf(this.#windows.keys());
    this.#endDraft();
  }

  write({ starts, keys, cells }: GroupArrays, keyCount: number): void {
    const n = starts.length;
    for (let i = 0; i < n; i++) {
      const window = this.#windowAt(starts[i] as number, keyCount);
      const known = (window.slotByKey[keys[i] as number] ?? 0) - 1;
      const slot = known >= 0 ? known : this.#make(window, keys[i] as number, keyCount);
      for (const [c, cell] of this.#cells.entries()) cell[slot] = cells[c * n + i] as number;
    }
  }

  renumber(numbers: Uint32Array): void {
    for (const slot of this.#due) this.#keyOfSlot[slot] = numbers[this.#keyOfSlot[slot] as number] as number;
    for (const window of this.#windows.values()) {
      for (const slot of window.slots) this.#keyOfSlot[slot] = numbers[this.#keyOfSlot[slot] as number] as number;
      const last = window.slots.reduce((most, slot) => Math.max(most, this.#keyOfSlot[slot] as number), 0);
      window.slotByKey = new Int32Array(roomFor(last + 1));
      for (const slot of window.slots) window.slotByKey[this.#keyOfSlot[slot] as number] = slot + 1;
    }
  }

  #sorted(): readonly OpenWindow[] {
    return [...this.#windows.values()].sort((a, b) => a.start - b.start);
  }

  /** The keys of slots in the order in which they come first, and by slot which of them is its own. */
  #placesOf(slots: readonly number[]): { readonly keys: Uint32Array; readonly places: Uint32Array } {
    const keyOfSlot = this.#keyOfSlot;
    const keys = new Uint32Array(slots.length);
    const places = new Uint32Array(slots.length);
    let lastKey = -1;
    for (const slot of slots) lastKey = Math.max(lastKey, keyOfSlot[slot] as number);
    // Keys are dense numbers, so an array finds their places. Place + 1; 0 where there is none.
    const placeOfKey = new Uint32Array(lastKey + 1);
    let n = 0;
    for (let i = 0; i < places.length; i++) {
      const key = keyOfSlot[slots[i] as number] as number;
      if (placeOfKey[key] === 0) {
        keys[n++] = key;
        placeOfKey[key] = n;
      }
      places[i] = (placeOfKey[key] as number) - 1;
    }
    return { keys: keys.slice(0, n), places };
  }

  #list(slots: readonly number[]): number {
    this.#listed = slots;
    this.#combined = undefined;
    return slots.length;
  }

  #slotsOf({ at, times, keys, keyCount }: GroupFrame): Uint32Array {
    const n = keys.length;
    const slots = new Uint32Array(n);
    const draft = this.#draft;
    let start = Number.NaN;
    let end = Number.NaN;
    let window: OpenWindow | undefined;
    for (let i = 0; i < n; i++) {
      const t = times[at === null ? i : (at[i] as number)] as number;
      if (window === undefined || t < start || t >= end) {
        start = windowStart(t, this.#sizeMs);
        end = start + this.#sizeMs;
        window = this.#windowAt(start, keyCount);
      }
      const key = keys[i] as number;
      let slot = (window.slotByKey[key] ?? 0) - 1;
      if (slot < 0) {
        slot = this.#make(window, key, keyCount);
        this.#touch(slot, true);
      } else if (this.#touchedIn[slot] !== draft) this.#touch(slot, false);
      slots[i] = slot;
    }
    return slots;
  }

  #windowAt(start: number, keyCount: number): OpenWindow {
    const known = this.#windows.get(start);
    if (known !== undefined) return known;
    const window = { start, slots: [], slotByKey: new Int32Array(roomFor(keyCount)) };
    this.#windows.set(start, window);
    if (start < this.#lowest) this.#lowest = start;
    return window;
  }

  #make(window: OpenWindow, key: number, keyCount: number): number {
    const slot = this.#free.pop() ?? this.#nextSlot();
    if (key >= window.slotByKey.length) {
      const grown = new Int32Array(roomFor(keyCount));
      grown.set(window.slotByKey);
      window.slotByKey = grown;
    }
    window.slotByKey[key] = slot + 1;
    window.slots.push(slot);
    this.#keyOfSlot[slot] = key;
    this.#startOfSlot[slot] = window.start;
    for (let c = 0; c < this.#cells.length; c++) (this.#cells[c] as Float64Array)[slot] = this.#initial[c] as number;
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
    for (const [c, cell] of this.#cells.entries()) this.#cells[c] = grown(cell, new Float64Array(this.#capacity));
    this.#keyOfSlot = grown(this.#keyOfSlot, new Uint32Array(this.#capacity));
    this.#startOfSlot = grown(this.#startOfSlot, new Float64Array(this.#capacity));
    this.#touchedIn = grown(this.#touchedIn, new Uint32Array(this.#capacity));
  }

  #touch(slot: number, isNew: boolean): void {
    this.#touchedIn[slot] = this.#draft;
    this.#touched.push(slot);
    for (let c = 0; c < this.#cells.length; c++)
      this.#saved.push(isNew ? Number.NaN : ((this.#cells[c] as Float64Array)[slot] as number));
  }

  #endDraft(): void {
    this.#draft++;
    this.#touched.length = 0;
    this.#saved.length = 0;
  }
}

function addTo(
  cell: Float64Array,
  { fold, input }: CellSpec,
  slots: Uint32Array,
  { at, keys, inputs }: GroupFrame,
): void {
  const n = keys.length;
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

/** Adds the cell of each slot to that of its place, which holds the same of slots before it. */
function combineCells(
  into: Float64Array,
  fold: CellFold,
  places: Uint32Array,
  cell: Float64Array,
  slots: readonly number[],
): void {
  for (let i = 0; i < places.length; i++) {
    const place = places[i] as number;
    const value = cell[slots[i] as number] as number;
    const before = into[place] as number;
    if (fold === "min") into[place] = value < before ? value : before;
    else if (fold === "max") into[place] = value > before ? value : before;
    else into[place] = before + value;
  }
}

/** Value of a cell that has seen nothing. */
function initialOf(fold: CellFold): number {
  if (fold === "min") return Number.POSITIVE_INFINITY;
  return fold === "max" ? Number.NEGATIVE_INFINITY : 0;
}

type Values = NumericInput["values"];

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

function grown<A extends Float64Array | Uint32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
