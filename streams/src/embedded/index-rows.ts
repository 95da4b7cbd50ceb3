/**
 * What a run of blocks of one segment adds to the index. Events are numbered from the first of the run, positions being dense:
 * a list of events is a list of small integers, and what a busy key gathers over many blocks becomes few entries.
 */
import type { OrderedWriter } from "@millrace/engine";
import type { ScannedBlock } from "./block-scanner.ts";
import { CorrelationLists } from "./correlation-lists.ts";
import { decodeNames, type Name, TYPE_NAME } from "./dictionary.ts";
import {
  BLOCK_TABLE,
  ENTRY_RECORDS_MAX,
  encodeLocations,
  locationsBytes,
  NAME_TABLE,
  NUMBER_TABLE,
  nameKey,
  numberKey,
  POSTING_TABLE,
  type PostingKind,
  positionKey,
  postingPrefix,
  putLocation,
  putPosition,
  STREAM_TABLE,
  streamKey,
} from "./index-keys.ts";
import { categoryRows, type StreamCategories, type StreamRows, startRows, textKey, writeAnchor } from "./list-rows.ts";
import { viewOf } from "./little-endian.ts";
import { encodeBlock, numberIn } from "./log-index.ts";
import { CORRELATION, graphAt, ID_BYTES, nodeAt, RECORD_HEADER_BYTES, revisionAt, streamAt, typeAt } from "./record.ts";
import { tagsAt } from "./record-tags.ts";
import type { BlockLocation } from "./tail-table.ts";

export class IndexRows {
  readonly serial: number;
  /** Position of the run's first event. */
  readonly #first: number;
  /** Where each event is in the segment. */
  readonly #offsets: number[] = [];
  readonly #blocks: BlockLocation[] = [];
  readonly #names: Name[] = [];
  readonly #streams = new Map<number, StreamRows>();
  readonly #types = new Postings<number>();
  readonly #graphs = new Postings<number>();
  readonly #nodes = new Postings<number>();
  readonly #correlations = new CorrelationLists();
  readonly #tags = new Postings<string>();

  constructor(serial: number, first: number) {
    this.serial = serial;
    this.#first = first;
  }

  /** What the run's control records say, as far as they are read. */
  get names(): readonly Name[] {
    return this.#names;
  }

  addBlock(block: BlockLocation): void {
    this.#blocks.push(block);
  }

  /** A control record, at `at` in the block's bytes. */
  addControl({ bytes, view }: ScannedBlock, at: number): void {
    if (typeAt(view, at) !== TYPE_NAME) return;
    this.#names.push(...decodeNames(bytes.subarray(at + RECORD_HEADER_BYTES, at + view.getUint32(at, true))));
  }

  /** The next event, at `at` in the block's bytes. */
  addEvent({ bytes, view, at: start, offset }: ScannedBlock, at: number): void {
    const event = this.#offsets.push(offset + at - start) - 1;
    const stream = streamAt(view, at);
    const rows = this.#streams.get(stream);
    if (rows === undefined) this.#streams.set(stream, { firstRevision: revisionAt(view, at), events: [event] });
    else rows.events.push(event);
    this.#types.of(typeAt(view, at)).push(event);
    if (graphAt(view, at) !== 0) this.#graphs.of(graphAt(view, at)).push(event);
    if (nodeAt(view, at) !== 0) this.#nodes.of(nodeAt(view, at)).push(event);
    this.#correlations.add(event, view, at + CORRELATION);
    for (const tag of tagsAt(bytes, view, at)) this.#tags.of(tag).push(event);
  }

  writeTo(tx: OrderedWriter, categories: StreamCategories): void {
    for (const block of this.#blocks) tx.put(BLOCK_TABLE, positionKey(block.first), encodeBlock(block));
    for (const name of this.#names) writeName(tx, name);
    for (const [stream, { firstRevision, events }] of this.#streams) {
      for (let at = 0; at < events.length; at += ENTRY_RECORDS_MAX) {
        tx.put(STREAM_TABLE, streamKey(stream, firstRevision + at), this.#entry(events, at));
      }
    }
    for (const [type, events] of this.#types.lists) this.#writeList(tx, postingPrefix("type", type), events);
    for (const [prefix, events] of categoryRows(tx, this.#streams, categories)) this.#writeList(tx, prefix, events);
    this.#writeList(tx, postingPrefix("starts", 0), startRows(this.#streams));
    for (const [tag, events] of this.#tags.lists) this.#writeList(tx, postingPrefix("tag", textKey(tag)), events);
    this.#writePostings(tx, "graph", this.#graphs.lists);
    this.#writePostings(tx, "node", this.#nodes.lists);
    this.#writeCorrelations(tx);
  }

  /** Nearly an entry for every event, so its bytes are used again: a store copies what is put. */
  #writeCorrelations(tx: OrderedWriter): void {
    const prefix = postingPrefix("correlation", Buffer.alloc(ID_BYTES));
    const key = Buffer.concat([prefix, positionKey(0)]);
    const id = key.subarray(prefix.length - ID_BYTES, prefix.length);
    const value = Buffer.alloc(locationsBytes(1));
    const view = viewOf(value);
    const single = (event: number): void => {
      putPosition(key, prefix.length, this.#first + event);
      putLocation(value, view, this.serial, this.#first + event, this.#offsets[event] as number);
      tx.put(POSTING_TABLE, key, value);
    };
    this.#correlations.visit(id, single, (events) => this.#writePosting(tx, key.subarray(0, prefix.length), events));
  }

  #writePostings(tx: OrderedWriter, kind: PostingKind, lists: ReadonlyMap<number, readonly number[]>): void {
    for (const [number, events] of lists) this.#writePosting(tx, postingPrefix(kind, number), events);
  }

  /** A posting list whose events have numbers. */
  #writeList(tx: OrderedWriter, prefix: Buffer, events: readonly number[]): void {
    if (events.length === 0) return;
    this.#writePosting(tx, prefix, events);
    writeAnchor(tx, prefix, this.#first + (events[0] as number), events.length);
  }

  #writePosting(tx: OrderedWriter, prefix: Buffer, events: readonly number[]): void {
    for (let at = 0; at < events.length; at += ENTRY_RECORDS_MAX) {
      const key = Buffer.concat([prefix, positionKey(this.#first + (events[at] as number))]);
      tx.put(POSTING_TABLE, key, this.#entry(events, at));
    }
  }

  #entry(events: readonly number[], at: number): Buffer {
    const part = events.slice(at, at + ENTRY_RECORDS_MAX);
    return encodeLocations(this.serial, this.#first, part, this.#offsets);
  }
}

/** Events by key. Most events have the key of the one before, so its list is kept at hand. */
class Postings<K> {
  readonly lists = new Map<K, number[]>();
  #key: K | undefined;
  #list: number[] = [];

  of(key: K): number[] {
    if (key === this.#key) return this.#list;
    this.#key = key;
    this.#list = this.lists.get(key) ?? [];
    if (this.#list.length === 0) this.lists.set(key, this.#list);
    return this.#list;
  }
}

export function writeName(tx: OrderedWriter, { kind, number, name }: Name): void {
  tx.put(NAME_TABLE, nameKey(kind, number), Buffer.from(name, "utf8"));
  if (numberIn(tx, kind, name) !== undefined) return;
  const key = numberKey(kind, name);
  const text = Buffer.from(name, "utf8");
  const header = Buffer.allocUnsafe(8);
  header.writeUInt32BE(number, 0);
  header.writeUInt32BE(text.length, 4);
  tx.put(NUMBER_TABLE, key, Buffer.concat([tx.get(NUMBER_TABLE, key) ?? new Uint8Array(0), header, text]));
}
