/** Numbers of events in lists across streams: those of the index through its anchors, those of the tail by counting. */
import { type EventList, type EventLists, listFilter } from "@millrace/engine";
import type { Dictionary } from "./dictionary.ts";
import { postingPrefix } from "./index-keys.ts";
import { type Anchor, anchorsBack, textKey } from "./list-rows.ts";
import type { LogIndex } from "./log-index.ts";
import type { LogReader } from "./log-reader.ts";
import type { Posting } from "./posting-join.ts";
import type { TailTable } from "./tail-table.ts";

export interface ListedEventsParts {
  readonly names: Dictionary;
  readonly index: LogIndex;
  readonly tail: TailTable;
  readonly reader: LogReader;
  readonly durableEnd: () => number;
  /** @throws LOG-CLOSED */
  readonly mustBeOpen: () => void;
}

const CHUNK = 4096;

export class ListedEvents implements EventLists {
  readonly #parts: ListedEventsParts;

  constructor(parts: ListedEventsParts) {
    this.#parts = parts;
  }

  async countOf(list: EventList): Promise<number> {
    this.#parts.mustBeOpen();
    const base = this.#parts.tail.base;
    let count = this.#indexed(list, base);
    for await (const positions of this.#inTail(list, base)) count += positions.length;
    return count;
  }

  async positionOf(list: EventList, number: number): Promise<number | undefined> {
    this.#parts.mustBeOpen();
    const base = this.#parts.tail.base;
    const indexed = this.#indexed(list, base);
    if (number < indexed) return this.#indexedAt(list, number);
    let left = number - indexed;
    for await (const positions of this.#inTail(list, base)) {
      if (left < positions.length) return positions[left];
      left -= positions.length;
    }
    return undefined;
  }

  /** How many events of the list are below `base`, where the index stood when the call began; it may have gone on. */
  #indexed(list: EventList, base: number): number {
    const source = this.#source(list);
    if (source === undefined) return 0;
    if (source.kind === "correlation") return this.#walk(source, 0, base, Number.POSITIVE_INFINITY).count;
    for (const { number, position, count } of this.#anchors(source)) if (position < base) return number + count;
    return 0;
  }

  #indexedAt(list: EventList, number: number): number | undefined {
    const source = this.#source(list);
    if (source === undefined) return undefined;
    if (source.kind === "correlation") return this.#walk(source, 0, Number.POSITIVE_INFINITY, number).position;
    const [anchor] = this.#anchors(source, number);
    if (anchor === undefined) return undefined;
    return this.#walk(source, anchor.position, Number.POSITIVE_INFINITY, number - anchor.number).position;
  }

  /** Counts the list's events from position `from` on, below `end`, and stops at the one after `skip` others. */
  #walk(
    { kind, value }: Posting,
    from: number,
    end: number,
    skip: number,
  ): { readonly count: number; readonly position: number | undefined } {
    let count = 0;
    for (let at = from; ; ) {
      const locations = this.#parts.index.postings(kind, value, at, false, Math.min(CHUNK, skip + 1));
      for (const { position } of locations) {
        if (position >= end) return { count, position: undefined };
        if (count === skip) return { count, position };
        count += 1;
      }
      const last = locations.at(-1);
      if (last === undefined) return { count, position: undefined };
      at = last.position + 1;
    }
  }

  #anchors({ kind, value }: Posting, number?: number): Iterable<Anchor> {
    return anchorsBack(this.#parts.index.store, postingPrefix(kind, value), number);
  }

  async *#inTail(list: EventList, base: number): AsyncGenerator<readonly number[]> {
    const { reader, durableEnd } = this.#parts;
    for await (const { events } of reader.forward(base, durableEnd(), listFilter(list)))
      yield events.map(({ position }) => position);
  }

  /** Nothing for a list that the index cannot hold. */
  #source(list: EventList): Posting | undefined {
    if ("category" in list) return { kind: "category", value: textKey(list.category) };
    if ("tag" in list) return { kind: "tag", value: textKey(list.tag) };
    if ("correlationId" in list) return { kind: "correlation", value: list.correlationId };
    if ("starts" in list) return { kind: "starts", value: 0 };
    const value = this.#parts.names.numberOf("type", list.type);
    return value === undefined ? undefined : { kind: "type", value };
  }
}
