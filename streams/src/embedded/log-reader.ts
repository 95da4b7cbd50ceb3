/**
 * Reads of the whole log and of single streams. What the index holds is found through it; the tail through the table in
 * memory; posting lists are used where a filter names something rare, a scan of the blocks otherwise.
 */
import {
  type EventFilter,
  eventFilter,
  type ReadOptions,
  type RecordedEvent,
  type StoredBatch,
} from "@millrace/engine";
import type { BlockKernels } from "./block-kernels.ts";
import { visitRecords } from "./block-records.ts";
import type { BlockScanner, FilePlace, ScannedBlock } from "./block-scanner.ts";
import { CONTROL_TYPES, type Dictionary } from "./dictionary.ts";
import type { PostingKind } from "./index-keys.ts";
import { type KeptFrom, prunedBelow, revisionPruned } from "./kept-range.ts";
import { categoryKey } from "./list-rows.ts";
import type { LogIndex } from "./log-index.ts";
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
    const posting = this.#posting(filter);
    let at = from;
    if (posting !== undefined && from < this.#parts.tail.base) {
      const indexed = Math.min(end, this.#parts.tail.base);
      yield* this.#byPosting(posting, from, indexed, filter);
      at = indexed;
    }
    if (at < end) yield* this.#scan(at, end, filter);
  }

  /** Events below `end` and at most at `from`, newest first, down to the base. @throws LOG-PRUNED `from` is below it */
  async *backward(
    from: number,
    end: number,
    filter: EventFilter | undefined,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    const passes = eventFilter(filter);
    const posting = this.#posting(filter);
    let next = Math.min(from, end - 1);
    if (next >= 0) this.#mustBeKept(next);
    while (next >= this.base) {
      if (posting !== undefined && next < this.#parts.tail.base) {
        yield* this.#backByPosting(posting, next, passes);
        return;
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
    if (first >= 0 && first <= head) this.#mustHold(name, state.number, first, end);
    const passes = eventFilter(options.filter);
    for (const locations of this.#streamLocations(name, state.number, first, head, backward, end)) {
      const events = await this.#parts.fetcher.fetch(locations);
      const passing = options.filter === undefined ? events : events.filter(passes);
      if (passing.length > 0) yield passing;
    }
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
  async *stored(from: number, end: number): AsyncGenerator<StoredBatch> {
    if (from >= end) return;
    this.#mustBeKept(from);
    yield* storedBatches(this.#parts.scanner.blocks(this.#startOf(from), end), this.#parts, from, end);
  }

  async *#scan(from: number, end: number, filter: EventFilter | undefined): AsyncGenerator<ReadBatch> {
    const passes = eventFilter(filter);
    for await (const blocks of this.#parts.scanner.blocks(this.#startOf(from), end)) {
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
    const withControls = filter?.types?.some(isControl) === true;
    visitRecords(block, files.pathOf(block.serial), kernels, (at, isControl, position) => {
      if (position < from || (isControl && !withControls)) return;
      const event = new LogRecord(block.bytes, block.view, at, names);
      if (filter === undefined || passes(event)) events.push(event);
    });
  }

  async *#byPosting(
    posting: Posting | "nothing",
    from: number,
    end: number,
    filter: EventFilter | undefined,
  ): AsyncGenerator<ReadBatch> {
    const passes = eventFilter(filter);
    let at = from;
    while (posting !== "nothing" && at < end) {
      const found = this.#parts.index.postings(posting.kind, posting.value, at, false, FETCH_RECORDS);
      const locations = found.filter((location) => location.position < end);
      if (locations.length === 0) break;
      const events = (await this.#parts.fetcher.fetch(locations)).filter(passes);
      at = (locations.at(-1) as RecordLocation).position + 1;
      yield { events, end: at };
    }
    if (at < end) yield { events: [], end };
  }

  async *#backByPosting(
    posting: Posting | "nothing",
    from: number,
    passes: (event: RecordedEvent) => boolean,
  ): AsyncGenerator<readonly RecordedEvent[]> {
    let next = from;
    while (posting !== "nothing" && next >= this.base) {
      const found = this.#parts.index.postings(posting.kind, posting.value, next, true, FETCH_RECORDS);
      // Rows of what was pruned stay until the index is made again.
      const locations = found.filter(({ position }) => position >= this.base);
      if (locations.length === 0) return;
      const events = (await this.#parts.fetcher.fetch(locations)).filter(passes);
      next = (locations.at(-1) as RecordLocation).position - 1;
      if (events.length > 0) yield events;
    }
  }

  /** The most selective list that the filter allows; "nothing" when the filter names what never was. */
  #posting(filter: EventFilter | undefined): Posting | "nothing" | undefined {
    if (filter === undefined || filter.types?.some((type) => isControl(type))) return undefined;
    if (filter.correlationId !== undefined) return { kind: "correlation", value: filter.correlationId };
    const kind = filter.node !== undefined ? "node" : filter.graph !== undefined ? "graph" : "type";
    const name = filter.node ?? filter.graph ?? (filter.types?.length === 1 ? filter.types[0] : undefined);
    if (name === undefined) {
      if (filter.category !== undefined) return { kind: "category", value: categoryKey(filter.category) };
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
    const { heads, index } = this.#parts;
    const base = this.base;
    if (base === 0 || revision >= heads.tailOf(heads.get(name, stream), revision, end).firstRevision) return;
    if ((index.locationOf(stream, revision)?.position ?? -1) < base) throw revisionPruned(name, revision, base);
  }

  /** The block that holds `position`. */
  placeOf(position: number): FilePlace | undefined {
    const { tail, index } = this.#parts;
    const block: BlockLocation | undefined = position >= tail.base ? tail.blockAt(position) : index.blockAt(position);
    return block === undefined ? undefined : { serial: block.serial, offset: block.offset };
  }
}

function isControl(type: string): boolean {
  return (CONTROL_TYPES as readonly string[]).includes(type);
}

interface Posting {
  readonly kind: PostingKind;
  readonly value: number | Uint8Array;
}
