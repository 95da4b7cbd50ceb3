/**
 * The state of a window node whose windows overlap. Messages are kept once, in **panes**: tumbling windows as long as the way from
 * one window's start to the next. A window is its panes put together when it ends; a pane goes with the last window that it is
 * part of. A pane takes no more messages once the first window with it has ended, so a message counts in all of its windows or, as
 * a late one, in none, and its windows agree with each other. (Panes: J. Li et al., "No pane, no gain", SIGMOD Record 2005.)
 *
 * However many windows end at once, one at a time is put together: those that are due are known by the place of the first group
 * that is not taken.
 */
import { type CellSpec, type GroupKernels, InvariantViolation, type StateEvent } from "@millrace/engine";
import { type Groups, groupsWhere, joinGroups, sliceGroups } from "./groups.ts";
import { OpenWindows } from "./open-windows.ts";
import { firstStartAfter, type WindowSpan } from "./span.ts";
import type { WindowInput } from "./window-input.ts";
import type { WindowSnapshot, WindowState } from "./window-state.ts";

/** What is taken: the windows that start before `from`, and of the first that does not, `skip` groups. */
interface Taken {
  readonly from: number;
  readonly skip: number;
}

interface Progress extends Taken {
  /** Windows that end at or before it have ended. */
  readonly limit: number;
}

interface Window {
  readonly start: number;
  readonly groups: Groups;
}

const NOTHING_ENDED: Progress = { limit: Number.NEGATIVE_INFINITY, from: Number.NEGATIVE_INFINITY, skip: 0 };

export class HoppingWindows implements WindowState {
  readonly #span: WindowSpan;
  readonly #width: number;
  readonly #panes: OpenWindows;
  #progress: Progress = NOTHING_ENDED;
  #sealed: Progress = NOTHING_ENDED;
  #wasDue = false;
  /** The window that is taken in parts. */
  #parted: Window | undefined;

  constructor(span: WindowSpan, keyFields: number, cells: readonly CellSpec[], kernels?: GroupKernels) {
    this.#span = span;
    this.#width = cells.length;
    this.#panes = new OpenWindows(span.everyMs, keyFields, cells, kernels);
  }

  get keyBytesMax(): number {
    return this.#panes.keyBytesMax;
  }

  get isDue(): boolean {
    return this.firstDue !== undefined;
  }

  get wasDue(): boolean {
    return this.#wasDue;
  }

  get firstDue(): number | undefined {
    const { limit, from } = this.#progress;
    const latest = limit - this.#span.sizeMs;
    if (from > latest) return undefined;
    const start = this.#firstStart(from);
    // False for NaN, too: there is no window.
    return start <= latest ? start : undefined;
  }

  get left(): StateEvent {
    const { from, skip } = this.#progress;
    return { from, skip };
  }

  accumulate(input: WindowInput): void {
    this.#panes.accumulate(input);
  }

  end(limit: number): void {
    if (limit > this.#progress.limit) this.#progress = { ...this.#progress, limit };
  }

  take(most: number): Groups {
    const parts: Groups[] = [];
    let room = most;
    for (let start = this.firstDue; start !== undefined && room > 0; start = this.firstDue) {
      const { limit, skip } = this.#progress;
      const { groups } = this.#window(start);
      const end = Math.min(groups.n, skip + room);
      parts.push(sliceGroups(groups, skip, end));
      room -= end - skip;
      const isWhole = end === groups.n;
      this.#progress = isWhole
        ? { limit, from: start + this.#span.everyMs, skip: 0 }
        : { limit, from: start, skip: end };
      this.#parted = isWhole ? undefined : { start, groups };
    }
    return joinGroups(parts, this.#width);
  }

  leave(left: StateEvent | undefined): void {
    const { limit } = this.#progress;
    const taken = left === undefined ? { from: this.#firstOpen, skip: 0 } : takenOf(left);
    this.#progress = { limit, ...taken };
  }

  /** What is due is put together again from its panes when the log is folded, so they count while it is. */
  changed(): Groups | undefined {
    const changed = this.#panes.changed();
    if (changed === undefined) return undefined;
    const first = this.#firstUntaken;
    const needed = groupsWhere(changed, (start) => start >= first);
    return needed.n === 0 ? undefined : needed;
  }

  all(): Groups {
    const windows: Groups[] = [];
    const { from, skip } = this.#progress;
    // Until it is NaN: there is none.
    for (let start = this.#firstStart(from); start >= from; start = this.#firstStart(start + this.#span.everyMs)) {
      const { groups } = this.#window(start);
      windows.push(start === from ? sliceGroups(groups, skip, groups.n) : groups);
    }
    return joinGroups(windows, this.#width);
  }

  seal(): void {
    const from = this.#firstUntaken;
    this.#wasDue = this.isDue;
    this.#progress = { ...this.#progress, from };
    this.#panes.end(from);
    this.#panes.leave(undefined);
    this.#panes.seal();
    this.#sealed = this.#progress;
  }

  discard(): void {
    this.#panes.discard();
    this.#progress = this.#sealed;
    this.#parted = undefined;
  }

  write(panes: Groups): void {
    this.#panes.write(panes);
    this.#parted = undefined;
  }

  snapshot(): WindowSnapshot {
    return { groups: this.#panes.all(), left: this.isDue ? this.left : undefined };
  }

  restore({ groups, left }: WindowSnapshot, limit: number): void {
    this.write(groups);
    this.end(limit);
    this.leave(left);
  }

  /** Start of the first window that has not ended. */
  get #firstOpen(): number {
    return firstStartAfter(this.#progress.limit - this.#span.sizeMs, this.#span.everyMs);
  }

  /** No window that is to be taken starts before it, so no pane before it is needed. */
  get #firstUntaken(): number {
    return this.firstDue ?? this.#firstOpen;
  }

  /** Of the first window at or after `from`, a start itself, that has a group; `NaN` when there is none. */
  #firstStart(from: number): number {
    const { sizeMs, everyMs } = this.#span;
    // The first window with that pane, unless that is one before `from`.
    return Math.max(from, this.#panes.nextStart(from) - sizeMs + everyMs);
  }

  #window(start: number): Window {
    if (this.#parted?.start === start) return this.#parted;
    return { start, groups: this.#panes.combined(start, start + this.#span.sizeMs) };
  }
}

function takenOf(left: StateEvent): Taken {
  const { from, skip } = (left ?? {}) as { readonly from?: StateEvent; readonly skip?: StateEvent };
  if (typeof from !== "number" || typeof skip !== "number")
    throw new InvariantViolation("not what a window node left for later steps");
  return { from, skip };
}
