/**
 * Tags of the events that the index does not hold yet: positions by tag, in memory, so that an append with a condition need not look at
 * what was appended just before it. It takes so much memory at most; beyond that it begins again, and who asks for what was before
 * reads the events.
 */

const BYTES_MAX = 32 << 20;
/** What a tag of an event takes beside its text. */
const ENTRY_BYTES = 100;

/** Ascending; those below `from` are gone. */
interface Positions {
  readonly all: number[];
  from: number;
}

export class TailTags {
  readonly #bytesMax: number;
  #lists = new Map<string, Positions>();
  /** Tagged events, oldest first. */
  #events: { readonly position: number; readonly tags: readonly string[] }[] = [];
  #bytes = 0;
  /** Every tag of an event from here on is in the table. */
  #since: number;

  constructor(since: number, bytesMax: number = BYTES_MAX) {
    this.#since = since;
    this.#bytesMax = bytesMax;
  }

  add(position: number, tags: readonly string[]): void {
    if (tags.length === 0) return;
    this.#bytes += bytesOf(tags);
    if (this.#bytes > this.#bytesMax) {
      this.#beginAt(position + 1);
      return;
    }
    this.#events.push({ position, tags });
    for (const tag of tags) {
      const list = this.#lists.get(tag);
      if (list === undefined) this.#lists.set(tag, { all: [position], from: 0 });
      else list.all.push(position);
    }
  }

  /** Positions in `[from, end)` of events with the rarest of the tags, ascending; `undefined` when the table does not reach back so far. */
  candidates(tags: readonly string[], from: number, end: number): readonly number[] | undefined {
    if (from < this.#since) return undefined;
    let rarest: Positions | undefined;
    for (const tag of tags) {
      const list = this.#lists.get(tag);
      if (list === undefined) return [];
      if (rarest === undefined || countOf(list) < countOf(rarest)) rarest = list;
    }
    return rarest?.all.slice(rarest.from).filter((position) => position >= from && position < end);
  }

  /** Forgets what is below `position`: the index has it. */
  release(position: number): void {
    let gone = 0;
    for (const event of this.#events) {
      if (event.position >= position) break;
      gone++;
      this.#bytes -= bytesOf(event.tags);
      for (const tag of event.tags) this.#drop(tag);
    }
    if (gone > 0) this.#events = this.#events.slice(gone);
  }

  #drop(tag: string): void {
    const list = this.#lists.get(tag);
    if (list === undefined) return;
    list.from++;
    if (list.from === list.all.length) this.#lists.delete(tag);
    else if (list.from > list.all.length / 2) {
      list.all.splice(0, list.from);
      list.from = 0;
    }
  }

  #beginAt(position: number): void {
    this.#lists = new Map();
    this.#events = [];
    this.#bytes = 0;
    this.#since = position;
  }
}

function bytesOf(tags: readonly string[]): number {
  return tags.reduce((sum, tag) => sum + ENTRY_BYTES + tag.length, 0);
}

function countOf({ all, from }: Positions): number {
  return all.length - from;
}
