/**
 * Reads of the whole log and of single streams. What the index holds is found through it; the tail through the tables in
 * memory; posting lists are used where a filter names something rare, a scan of the blocks otherwise.
 */
import {
  type EventFilter,
  eventFilter,
  type PrunedEnd,
  type ReadOptions,
  type RecordedEvent,
  type StoredBatch,
} from "@millrace/engine";
import type { BlockKernels } from "./block-kernels.ts";
import { visitRecords } from "./block-records.ts";
import type { BlockScanner, FilePlace, ScannedBlock } from "./block-scanner.ts";
import type { CarriedEnd } from "./carried-end.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { CONTROL_TYPES, type Dictionary } from "./dictionary.ts";
import { type KeptFrom, prunedBelow, revisionPruned } from "./kept-range.ts";
import { textKey } from "./list-rows.ts";
import { viewOf } from "./little-endian.ts";
import type { LogIndex } from "./log-index.ts";
import { type Joined, joinPostings, type Posting } from "./posting-join.ts";
import type { RecordFetcher } from "./record-fetcher.ts";
import { LogRecord } from "./recorded-event.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { SegmentReaders } from "./segment-readers.ts";
import { storedBatches } from "./stored-records.ts";
import type { StreamHeads } from "./stream-heads.ts";
import type { BlockLocation, RecordLocation, TailTable } from "./tail-table.ts";

const FETCH_RECORDS = 512;

export interface LogReaderParts {
  readonly kernels: Pick<BlockKernels, "checkRecords">;
  readonly names: Dictionary;
  readonly index: LogIndex;
  readonly tail: TailTable;
  readonly heads: StreamHeads;
  readonly files: SegmentReaders;
  readonly scanner: BlockScanner;
  readonly fetcher: RecordFetcher;
  /** Where what can be read begins. */
  readonly base: () => KeptFrom;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
}

/** What a forward read has passed: all events of `[…, end)` that meet the filter have been given. */
export interface ReadBatch {
  readonly events: readonly RecordedEvent[];
  readonly end: number;
}

export class LogReader {
  readonly #parts: LogReaderParts;

  constructor(parts: LogReaderParts) {
    this.#parts = parts;
  }

  /** The first position that can be read. */
  get base(): number {
    return this.#parts.base().position;
  }

  /** Events of `[from, end)` by position. @throws LOG-PRUNED `from` is below the base */
  async *forward(from: number, end: number, filter: EventFilter | undefined): AsyncGenerator<ReadBatch> {
    if (from >= end) return;
    this.#mustBeKept(from);
    const postings = this.#postings(filter);
    let at = from;
    // The index may have gone on meanwhile.
    while (postings !== undefined && at < end && at < this.#parts.tail.base) {
      const indexed = Math.min(end, this.#parts.tail.base);
      yield* this.#byPostings(postings, at, indexed, filter);
      at = indexed;
    }
    if (at >= end) return;
    const tabled = this.#tabled(filter, at, end);
    if (tabled === undefined) yield* this.#scan(at, end, filter);
    else yield* this.#fetched(tabled, end, filter);
  }

  /** Events below `end` and at most at `from`, newest first, down to the base. @throws LOG-PRUNED `from` is below it */
  async *backward(
    from: number,
    end: number,
    filter: EventFilter | undefined,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const passes = eventFilter(filter);
    const postings = this.#postings(filter);
    let next = Math.min(from, end - 1);
    if (next >= 0) this.#mustBeKept(next);
    while (next >= this.base) {
      if (postings !== undefined && next < this.#parts.tail.base) {
        yield* this.#backByPostings(postings, next, passes);
        return;
      }
      const tabled = this.#tabled(filter, this.#parts.tail.base, next + 1);
      if (tabled !== undefined) {
        next = this.#parts.tail.base - 1;
        yield* this.#fetchedBack(tabled, passes);
        continue;
      }
      const place = this.placeOf(next);
      if (place === undefined) return;
      const block = await this.#parts.scanner.block(place);
      const found: RecordedEvent[] = [];
      this.#collect(block, filter, passes, 0, found);
      const limit = next;
      const events = found.filter((event) => event.position <= limit);
      next = block.header.first - 1;
      if (events.length > 0) yield events.reverse();
    }
  }

  /** Events of one stream by revision, below `end`; backward down to the base. @throws LOG-PRUNED the first of them was pruned */
  async *stream(name: string, options: ReadOptions, end: number): AsyncGenerator<readonly RecordedEvent[]> {
    const head = this.#parts.heads.durableHead(name, end);
    const state = this.#parts.heads.find(name);
    if (state === undefined || head < 0) return;
    const backward = options.direction === "backward";
    const first = backward ? Math.min(options.from ?? head, head) : (options.from ?? 0);
    const passes = eventFilter(options.filter);
    const carried = first === head ? this.#carried(name, state.number, head, end) : undefined;
    if (carried?.record !== undefined) {
      const event = new LogRecord(carried.record, viewOf(carried.record), 0, this.#parts.names);
      if (passes(event)) yield [event];
      return;
    }
    if (first >= 0 && first <= head) this.#mustHold(name, state.number, first, end);
    for (const locations of this.#streamLocations(name, state.number, first, head, backward, end)) {
      const events = await this.#parts.fetcher.fetch(locations);
      const passing = options.filter === undefined ? events : events.filter(passes);
      if (passing.length > 0) yield passing;
    }
  }

  /** The end of a stream whose last event was pruned and is not carried as a whole. */
  prunedEnd(name: string, end: number): PrunedEnd | undefined {
    const head = this.#parts.heads.durableHead(name, end);
    const state = this.#parts.heads.find(name);
    const carried = state === undefined || head < 0 ? undefined : this.#carried(name, state.number, head, end);
    if (carried === undefined || carried.record !== undefined) return undefined;
    const { revision, schemaVersion, type } = carried;
    return { revision, schemaVersion, type: this.#parts.names.nameOf("type", type) };
  }

  /** What is carried of a stream's last event, if that was pruned. */
  #carried(name: string, stream: number, head: number, end: number): CarriedEnd | undefined {
    if (this.#isHeld(name, stream, head, end)) return undefined;
    const carried = this.#parts.index.carriedEnd(stream);
    return carried?.revision === head ? carried : undefined;
  }

  /** Lazily, because a caller with a limit stops early; each part is complete when it is asked for. */
  *#streamLocations(
    name: string,
    number: number,
    first: number,
    head: number,
    backward: boolean,
    end: number,
  ): Generator<readonly RecordLocation[]> {
    const { heads, index } = this.#parts;
    let next = first;
    const remaining = (): number => (backward ? next + 1 : head - next + 1);
    while (remaining() > 0) {
      const state = heads.get(name, number);
      const tail = heads.tailOf(state, backward ? 0 : next, end);
      const inTail = next >= tail.firstRevision;
      const locations = inTail
        ? this.#tailLocations(tail, next, backward)
        : index.streamFrom(number, next, backward, Math.min(FETCH_RECORDS, remaining()));
      const base = this.base;
      const kept = backward ? locations.filter(({ position }) => position >= base) : locations;
      if (kept.length === 0) return;
      for (let at = 0; at < kept.length; at += FETCH_RECORDS) yield kept.slice(at, at + FETCH_RECORDS);
      next += backward ? -locations.length : locations.length;
    }
  }

  #tailLocations(
    tail: { readonly positions: readonly number[]; readonly firstRevision: number },
    next: number,
    backward: boolean,
  ): RecordLocation[] {
    const at = next - tail.firstRevision;
    const positions = backward ? tail.positions.slice(0, at + 1).reverse() : tail.positions.slice(at);
    return positions.flatMap((position) => this.#parts.tail.locate(position) ?? []);
  }

  /** Records of `[from, end)` as they are stored. @throws LOG-PRUNED `from` is below the base */
  async *stored(from: number, end: number, buffers = new ChunkBuffers()): AsyncGenerator<StoredBatch> {
    if (from >= end) return;
    this.#mustBeKept(from);
    const blocks = this.#parts.scanner.blocks(this.#startOf(from), end, buffers, this.#endOf(end));
    yield* storedBatches(blocks, this.#parts, from, end);
  }

  async *#scan(from: number, end: number, filter: EventFilter | undefined): AsyncGenerator<ReadBatch> {
    const passes = eventFilter(filter);
    for await (const blocks of this.#parts.scanner.blocks(this.#startOf(from), end, undefined, this.#endOf(end))) {
      const events: RecordedEvent[] = [];
      let last = from;
      for (const block of blocks) {
        this.#collect(block, filter, passes, from, events);
        last = block.header.first + block.header.count;
      }
      yield { events, end: last };
    }
  }

  /** Adds the block's events that pass; control records only when a type of theirs is asked for. */
  #collect(
    block: ScannedBlock,
    filter: EventFilter | undefined,
    passes: (event: RecordedEvent) => boolean,
    from: number,
    events: RecordedEvent[],
  ): void {
    const { kernels, names, files } = this.#parts;
    const withControls = filter !== undefined && asksForControls(filter);
    visitRecords(block, files.pathOf(block.serial), kernels, (at, isControl, position) => {
      if (position < from || (isControl && !withControls)) return;
      const event = new LogRecord(block.bytes, block.view, at, names);
      if (filter === undefined || passes(event)) events.push(event);
    });
  }

  async *#byPostings(
    postings: Postings,
    from: number,
    end: number,
    filter: EventFilter | undefined,
  ): AsyncGenerator<ReadBatch> {
    const passes = eventFilter(filter);
    let at = from;
    let told = from;
    while (postings !== "nothing" && at < end) {
      const { locations, next } = joinPostings(this.#parts.index, postings, at, false, FETCH_RECORDS);
      const wanted = locations.filter((location) => location.position < end);
      const events = (await this.#parts.fetcher.fetch(wanted)).filter(passes);
      at = next === undefined ? end : Math.min(next, end);
      if (wanted.length > 0) {
        told = at;
        yield { events, end: at };
      } else if (at < end) await this.#parts.pause();
    }
    if (told < end) yield { events: [], end };
  }

  async *#backByPostings(
    postings: Postings,
    from: number,
    passes: (event: RecordedEvent) => boolean,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    let next: number | undefined = from;
    while (postings !== "nothing" && next !== undefined && next >= this.base) {
      const joined: Joined = joinPostings(this.#parts.index, postings, next, true, FETCH_RECORDS);
      // Rows of what was pruned stay until the index is made again.
      const locations = joined.locations.filter(({ position }) => position >= this.base);
      const events = (await this.#parts.fetcher.fetch(locations)).filter(passes);
      next = joined.next;
      if (events.length > 0) yield events;
      else if (next !== undefined) await this.#parts.pause();
    }
  }

  /** Where events of the tail are that may pass; `undefined` when no table knows. */
  #tabled(filter: EventFilter | undefined, from: number, end: number): readonly RecordLocation[] | undefined {
    const { tail } = this.#parts;
    if (filter?.tags === undefined || asksForControls(filter)) return undefined;
    const positions = tail.tags.candidates(filter.tags, from, end);
    return positions?.flatMap((position) => tail.locate(position) ?? []);
  }

  async *#fetched(
    locations: readonly RecordLocation[],
    end: number,
    filter: EventFilter | undefined,
  ): AsyncGenerator<ReadBatch> {
    const passes = eventFilter(filter);
    for (let at = 0; at < locations.length; at += FETCH_RECORDS) {
      const part = locations.slice(at, at + FETCH_RECORDS);
      const events = (await this.#parts.fetcher.fetch(part)).filter(passes);
      yield { events, end: (part.at(-1) as RecordLocation).position + 1 };
    }
    yield { events: [], end };
  }

  async *#fetchedBack(
    locations: readonly RecordLocation[],
    passes: (event: RecordedEvent) => boolean,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    for (let end = locations.length; end > 0; end -= FETCH_RECORDS) {
      const part = locations.slice(Math.max(0, end - FETCH_RECORDS), end);
      const events = (await this.#parts.fetcher.fetch(part)).filter(passes);
      if (events.length > 0) yield events.reverse();
    }
  }

  /** The most selective lists that the filter allows; "nothing" when the filter names what never was. */
  #postings(filter: EventFilter | undefined): Postings | undefined {
    if (filter === undefined || asksForControls(filter)) return undefined;
    const tags = new Set(filter.tags);
    const other = this.#posting(filter);
    if (other === "nothing") return other;
    const postings = Array.from(tags, (tag) => ({ kind: "tag" as const, value: textKey(tag) }));
    if (other === undefined) return postings.length > 0 ? postings : undefined;
    return [...postings, other];
  }

  #posting(filter: EventFilter): Posting | "nothing" | undefined {
    if (filter.correlationId !== undefined) return { kind: "correlation", value: filter.correlationId };
    const kind = filter.node !== undefined ? "node" : filter.graph !== undefined ? "graph" : "type";
    const name = filter.node ?? filter.graph ?? (filter.types?.length === 1 ? filter.types[0] : undefined);
    if (name === undefined) {
      if (filter.category !== undefined) return { kind: "category", value: textKey(filter.category) };
      return filter.starts === undefined ? undefined : { kind: "starts", value: 0 };
    }
    const value = this.#parts.names.numberOf(kind, name);
    return value === undefined ? "nothing" : { kind, value };
  }

  #startOf(position: number): FilePlace {
    return this.placeOf(position) ?? { serial: this.#parts.base().serial, offset: SEGMENT_HEADER_BYTES };
  }

  #mustBeKept(position: number): void {
    const base = this.base;
    if (position < base) throw prunedBelow(base, position);
  }

  /** A row that is missing or leads below the base: the index was made again after the prune, or before it. */
  #mustHold(name: string, stream: number, revision: number, end: number): void {
    if (!this.#isHeld(name, stream, revision, end)) throw revisionPruned(name, revision, this.base);
  }

  #isHeld(name: string, stream: number, revision: number, end: number): boolean {
    const { heads, index } = this.#parts;
    const base = this.base;
    if (base === 0 || revision >= heads.tailOf(heads.get(name, stream), revision, end).firstRevision) return true;
    return (index.locationOf(stream, revision)?.position ?? -1) >= base;
  }

  /** Where the block that holds the last position below `end` does end. */
  #endOf(end: number): FilePlace | undefined {
    const block = this.#parts.tail.blockAt(end - 1);
    return block === undefined ? undefined : { serial: block.serial, offset: block.offset + block.bytes };
  }

  /** The block that holds `position`. */
  placeOf(position: number): FilePlace | undefined {
    const { tail, index } = this.#parts;
    const block: BlockLocation | undefined = position >= tail.base ? tail.blockAt(position) : index.blockAt(position);
    return block === undefined ? undefined : { serial: block.serial, offset: block.offset };
  }
}

function asksForControls({ types }: EventFilter): boolean {
  return types?.some(isControl) === true;
}

function isControl(type: string): boolean {
  return (CONTROL_TYPES as readonly string[]).includes(type);
}

type Postings = readonly Posting[] | "nothing";
