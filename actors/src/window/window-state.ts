/** What a window node keeps: groups of windows that have not ended, and of those that have ended and are not taken, which are **due**. */
import type { StateEvent } from "@millrace/engine";
import type { Groups } from "./groups.ts";
import type { WindowInput } from "./window-input.ts";

/** `left` only where something is due and `groups` cannot tell it. */
export interface WindowSnapshot {
  readonly groups: Groups;
  readonly left?: StateEvent | undefined;
}

/** What `accumulate`, `end` and `take` do is a draft until `seal`. */
export interface WindowState {
  /** Bytes that the largest key takes at most, roughly. */
  readonly keyBytesMax: number;
  readonly isDue: boolean;
  /** There were groups due before this draft. */
  readonly wasDue: boolean;
  /** Start of the first window with a group that is due. */
  readonly firstDue: number | undefined;
  /** What of that which has ended is due, for the log. */
  readonly left: StateEvent;
  /** Adds messages to their groups. */
  accumulate(input: WindowInput): void;
  /** Ends the windows up to `limit`. */
  end(limit: number): void;
  /** Takes the first groups that are due, at most `most`: by window start, then first-seen key. */
  take(most: number): Groups;
  /** Takes what is due but for what was `left`, or all of it, and does not look at it. */
  leave(left: StateEvent | undefined): void;
  /** What the log needs to know of this draft. `undefined`: nothing. */
  changed(): Groups | undefined;
  /** All groups that are not taken as they would be if their windows ended now. */
  all(): Groups;
  seal(): void;
  discard(): void;
  /** Overwrites groups of logged changes, made if they are new. Not part of a draft. */
  write(groups: Groups): void;
  snapshot(): WindowSnapshot;
  /** @param limit up to where windows have ended */
  restore(snapshot: WindowSnapshot, limit: number): void;
}
