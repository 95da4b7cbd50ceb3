/**
 * The state of a window node whose windows overlap. Messages are kept once, in **panes**: tumbling windows as long as the way from
 * one window's start to the next. A window is its panes put together when it ends; a pane goes with the last window that it is
 * part of. A pane takes no more messages once the first window with it has ended, so a message counts in all of its windows or, as
 * a late one, in none, and its windows agree with each other. (Panes: J. Li et al., "No pane, no gain", SIGMOD Record 2005.)
 */
import type { CellSpec, GroupKernels } from "@millrace/engine";
import { type Groups, groupsWhere, joinGroups, sliceGroups } from "./groups.ts";
import { OpenWindows } from "./open-windows.ts";
import { firstStartAfter, type WindowSpan } from "./span.ts";
import type { WindowInput } from "./window-input.ts";
import type { WindowSnapshot, WindowState } from "./window-state.ts";

interface Ended {
  /** Windows that end at or before it have ended. */
  readonly limit: number;
  /** Groups of windows that have ended and are not taken, by window start. */
  readonly due: readonly Groups[];
}

export class HoppingWindows implements WindowState {
  readonly #span: WindowSpan;
  readonly #width: number;
  readonly #panes: OpenWindows;
  #ended: Ended = { limit: Number.NEGATIVE_INFINITY, due: [] };
  #sealed: Ended = this.#ended;

  constructor(span: WindowSpan, keyFields: number, cells: readonly CellSpec[], kernels?: GroupKernels) {
    this.#span = span;
    this.#width = cells.length;
    this.#panes = new OpenWindows(span.everyMs, keyFields, cells, kernels);
  }

  get keyBytesMax(): number {
    return this.#panes.keyBytesMax;
  }

  get due(): number {
    return count(this.#ended.due);
  }

  get wasDue(): boolean {
    return this.#sealed.due.length > 0;
  }

  get firstDue(): number | undefined {
    return this.#ended.due[0]?.starts[0];
  }

  accumulate(input: WindowInput): void {
    this.#panes.accumulate(input);
  }

  end(limit: number): void {
    if (limit <= this.#ended.limit) return;
    this.#ended = { limit, due: [...this.#ended.due, ...this.#windowsUntil(limit)] };
  }

  take(most: number): Groups {
    const { limit, due } = this.#ended;
    const parts: Groups[] = [];
    let room = most;
    let at = 0;
    for (; room > 0 && at < due.length; at++) {
      const part = due[at] as Groups;
      if (part.n > room) {
        parts.push(sliceGroups(part, 0, room));
        this.#ended = { limit, due: [sliceGroups(part, room, part.n), ...due.slice(at + 1)] };
        return joinGroups(parts, this.#width);
      }
      parts.push(part);
      room -= part.n;
    }
    this.#ended = { limit, due: due.slice(at) };
    return joinGroups(parts, this.#width);
  }

  /** What is due is put together again from its panes when the log is folded, so they count while anything is. */
  changed(): Groups | undefined {
    const changed = this.#panes.changed();
    if (changed === undefined || this.#ended.due.length > 0) return changed;
    const open = groupsWhere(changed, (start) => start + this.#span.sizeMs > this.#ended.limit);
    return open.n === 0 ? undefined : open;
  }

  all(): Groups {
    return joinGroups([...this.#ended.due, ...this.#windowsUntil(Number.POSITIVE_INFINITY)], this.#width);
  }

  seal(): void {
    const { sizeMs, everyMs } = this.#span;
    this.#panes.end(this.#ended.limit - sizeMs + everyMs);
    this.#panes.drop();
    this.#panes.seal();
    this.#sealed = this.#ended;
  }

  discard(): void {
    this.#panes.discard();
    this.#ended = this.#sealed;
  }

  write(panes: Groups): void {
    this.#panes.write(panes);
  }

  snapshot(): WindowSnapshot {
    const { due } = this.#ended;
    return { groups: this.#panes.all(), due: due.length === 0 ? undefined : joinGroups(due, this.#width) };
  }

  restore({ groups, due }: WindowSnapshot, limit: number): void {
    this.#panes.write(groups);
    this.#ended = { limit, due: due === undefined ? [] : [due] };
  }

  /** The windows that have not ended, have a group and end at or before `limit`. */
  #windowsUntil(limit: number): readonly Groups[] {
    const { sizeMs, everyMs } = this.#span;
    const windows: Groups[] = [];
    let start = firstStartAfter(this.#ended.limit - sizeMs, everyMs);
    for (;;) {
      const pane = this.#panes.nextStart(start);
      // The first window with that pane, unless it has ended or has been put together.
      start = Math.max(start, pane - sizeMs + everyMs);
      // True for NaN, too: there is no pane.
      if (!(start + sizeMs <= limit)) return windows;
      windows.push(this.#panes.combined(start, start + sizeMs));
      start += everyMs;
    }
  }
}

function count(due: readonly Groups[]): number {
  return due.reduce((sum, { n }) => sum + n, 0);
}
