/**
 * How many entries of a stream lie behind a reader, by the server's count of all that were ever added (Redis 7). Where that count, what there
 * is still and what lies behind do not add up, entries were removed unread; which is seen also where the entry at the cursor is gone.
 */
import type { StreamLook } from "./redis-client.ts";
import { compareIds } from "./stream-position.ts";

export class PassedEntries {
  /** Of all that were ever added, how many were not to be read any more. Absent: nobody knows. */
  #count: number | undefined;
  /** No entry up to here is missing in that. */
  #at = "";
  /** It was found out by the last look. */
  #isNew = false;

  /** How many behind `cursor` were trimmed unread; `undefined`: nobody knows, or some of them were deleted by their ids. */
  trimmed(look: StreamLook, cursor: string): number | undefined {
    if (look.counts === undefined || this.#count === undefined || !isFirstBehind(look, cursor)) return undefined;
    const { added, there, deleted } = look.counts;
    const missing = added - this.#count - there;
    // One with a higher id was deleted since, and may be one of those that are missing.
    if (missing > 0 && compareIds(deleted, this.#at) > 0) return undefined;
    return missing < 0 ? undefined : missing;
  }

  /** Learns what `look`, from `cursor` on, says; `max` entries were asked for. */
  learn(look: StreamLook, cursor: string, max: number): void {
    const { counts } = look;
    const unread = counts === undefined ? undefined : unreadOf(look, counts.there, cursor, max);
    this.#isNew = counts !== undefined && unread !== undefined;
    if (counts === undefined || unread === undefined) return;
    this.#count = counts.added - unread;
    this.#at = cursor;
  }

  /** So many entries of the last look were taken, up to `cursor`. */
  took(entries: number, cursor: string): void {
    if (this.#count !== undefined) this.#count += entries;
    if (this.#isNew) this.#at = cursor;
  }
}

const isFirstBehind = ({ first }: StreamLook, cursor: string): boolean =>
  first === undefined || compareIds(first, cursor) > 0;

/** How many there are behind the cursor; `undefined`: it does not show. */
function unreadOf(look: StreamLook, there: number, cursor: string, max: number): number | undefined {
  if (isFirstBehind(look, cursor)) return there;
  if (look.entries.length < max) return look.entries.length;
  return look.first === cursor ? there - 1 : undefined;
}
