/** The rows of a list of events: pages that were asked for, and above them what the live connection brings. */
import type { EventHead, EventPage } from "../api.ts";

export const KEPT_MAX = 20_000;

export interface EventRows {
  /** Newest first. */
  readonly events: readonly EventHead[];
  /** Of the page after the oldest of them; null: there is none, or no room for it. */
  readonly next: string | null;
  /** Events that the live connection left out. */
  readonly skipped: number;
}

export const NO_ROWS: EventRows = { events: [], next: null, skipped: 0 };

/** @param events oldest first */
export function withNewer(before: EventRows, events: readonly EventHead[], skipped: number): EventRows {
  const newest = before.events[0]?.position ?? -1;
  const fresh = events.filter(({ position }) => position > newest).reverse();
  return kept({ ...before, events: [...fresh, ...before.events], skipped: before.skipped + skipped });
}

/**
 * The newest page, beside what has come since it was asked for. Rows of before stay only where nothing can be between them and the
 * page: a hidden page hears nothing, and a list must not look whole that is not.
 *
 * @param since newest position that was shown when the page was asked for
 */
export function withNewest(before: EventRows, { events, next }: EventPage, since: number): EventRows {
  const newest = events[0]?.position ?? -1;
  const oldest = events.at(-1)?.position ?? -1;
  const came = before.events.filter(({ position }) => position > newest);
  if (next === null || oldest > since) return { events: [...came, ...events], next, skipped: 0 };
  const older = before.events.filter(({ position }) => position < oldest);
  return kept({ ...before, events: [...came, ...events, ...older], next: older.length > 0 ? before.next : next });
}

/** The page after the oldest; one that was asked for by rows that have been replaced meanwhile is left out. */
export function withOlder(before: EventRows, { events, next }: EventPage, cursor: string): EventRows {
  return before.next === cursor ? { ...before, events: [...before.events, ...events], next } : before;
}

/** Where the oldest go, what `next` is after is no longer shown. */
function kept(rows: EventRows): EventRows {
  return rows.events.length <= KEPT_MAX ? rows : { ...rows, events: rows.events.slice(0, KEPT_MAX), next: null };
}
