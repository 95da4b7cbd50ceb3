/** What a window node keeps: groups of windows that have not ended, and of those that have ended and are not taken, which are **due**. */
import type { Groups } from "./groups.ts";
import type { WindowInput } from "./window-input.ts";

/** `due` only where `groups` cannot tell it. */
export interface WindowSnapshot {
  readonly groups: Groups;
  readonly due?: Groups | undefined;
}

/** What `accumulate`, `end` and `take` do is a draft until `seal`. */
export interface WindowState {
  /** Bytes that the largest key takes at most, roughly. */
  readonly keyBytesMax: number;
  readonly due: number;
  /** There were groups due before this draft. */
  readonly wasDue: boolean;
  /** Start of the first window with a group that is due. */
  readonly firstDue: number | undefined;
  /** Adds messages to their groups. */
  accumulate(input: WindowInput): void;
  /** Ends the windows up to `limit`. */
  end(limit: number): void;
  /** Takes the first groups that are due, at most `most`: by window start, then first-seen key. */
  take(most: number): Groups;
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
