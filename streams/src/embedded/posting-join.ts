/**
 * Events that stand in all of several posting lists: each list in turn jumps to where another has come, so that the rarest decides
 * how much is looked at, however long the others are.
 */
import type { PostingKind } from "./index-keys.ts";
import type { LogIndex } from "./log-index.ts";
import type { RecordLocation } from "./tail-table.ts";

/** Names one list. */
export interface Posting {
  readonly kind: PostingKind;
  readonly value: number | Uint8Array;
}

export interface Joined {
  readonly locations: readonly RecordLocation[];
  /** Where to go on from; `undefined` when there are no more. */
  readonly next: number | undefined;
}

/** Looks into the index before others get their turn: some milliseconds. */
const LOOKS_MAX = 512;

/** At most about `limit` of them, from `position` on in the direction. */
export function joinPostings(
  index: LogIndex,
  postings: readonly Posting[],
  position: number,
  backward: boolean,
  limit: number,
): Joined {
  const [only] = postings;
  if (only !== undefined && postings.length === 1) return oneList(index, only, position, backward, limit);
  const lists = postings.map((posting) => new ListCursor(index, posting, backward));
  const locations: RecordLocation[] = [];
  let at = position;
  while (locations.length < limit && looksOf(lists) < LOOKS_MAX) {
    const found = meeting(lists, at);
    if (found === undefined) return { locations, next: undefined };
    if (found.meets) locations.push(found.location);
    at = found.meets ? found.location.position + (backward ? -1 : 1) : found.location.position;
  }
  return { locations, next: at };
}

function oneList(
  index: LogIndex,
  { kind, value }: Posting,
  position: number,
  backward: boolean,
  limit: number,
): Joined {
  const locations = index.postings(kind, value, position, backward, limit);
  const last = locations.at(-1);
  return { locations, next: last && last.position + (backward ? -1 : 1) };
}

/** The farthest of the first places at or behind `at`, and whether all lists meet there; nothing when a list ends. */
function meeting(
  lists: readonly ListCursor[],
  at: number,
): { readonly location: RecordLocation; readonly meets: boolean } | undefined {
  let farthest: RecordLocation | undefined;
  let meets = true;
  for (const list of lists) {
    const location = list.from(farthest?.position ?? at);
    if (location === undefined) return undefined;
    if (farthest !== undefined && location.position !== farthest.position) meets = false;
    farthest = location;
  }
  return farthest && { location: farthest, meets };
}

function looksOf(lists: readonly ListCursor[]): number {
  return lists.reduce((sum, { looks }) => sum + looks, 0);
}

/** A list that is gone through in one direction. */
class ListCursor {
  looks = 0;
  readonly #index: LogIndex;
  readonly #posting: Posting;
  readonly #backward: boolean;
  #entry: readonly RecordLocation[] = [];
  #next = 0;

  constructor(index: LogIndex, posting: Posting, backward: boolean) {
    this.#index = index;
    this.#posting = posting;
    this.#backward = backward;
  }

  /** The first at `position` or behind it, in the direction. */
  from(position: number): RecordLocation | undefined {
    const last = this.#entry.at(-1);
    if (last === undefined || this.#isBefore(last.position, position)) this.#look(position);
    while (this.#next < this.#entry.length) {
      const location = this.#entry[this.#next] as RecordLocation;
      if (!this.#isBefore(location.position, position)) return location;
      this.#next++;
    }
    return undefined;
  }

  #isBefore(one: number, other: number): boolean {
    return this.#backward ? one > other : one < other;
  }

  #look(position: number): void {
    const { kind, value } = this.#posting;
    this.looks++;
    this.#entry = this.#index.postings(kind, value, position, this.#backward, 1);
    this.#next = 0;
  }
}
