/**
 * The follower that keeps the index: it reads durable blocks behind the writer and commits rows and cursor in one transaction
 * (L-R22), always up to the end of a block. It runs off the append path; when the store fails, the follower waits and tries
 * again, and appends go on until the un-indexed tail reaches its bound.
 */
import type { Env, OrderedStore, OrderedWriter } from "@millrace/engine";
import { paddedBytes } from "./block.ts";
import { visitRecords } from "./block-records.ts";
import type { BlockScanner, ScannedBlock } from "./block-scanner.ts";
import type { Crc32c } from "./crc32c.ts";
import { type Dictionary, decodeNames, type Name, TYPE_NAME } from "./dictionary.ts";
import {
  BLOCK_TABLE,
  CURSOR_KEY,
  CURSOR_TABLE,
  ENTRY_RECORDS_MAX,
  encodeLocations,
  NAME_TABLE,
  NUMBER_TABLE,
  nameKey,
  numberKey,
  POSTING_TABLE,
  positionKey,
  postingPrefix,
  STREAM_TABLE,
  streamKey,
} from "./index-keys.ts";
import { encodeBlock, type IndexCursor, numberIn } from "./log-index.ts";
import { pause } from "./pause.ts";
import { graphAt, nodeAt, RECORD_HEADER_BYTES, revisionAt, streamAt, typeAt } from "./record.ts";
import type { SegmentReaders } from "./segment-readers.ts";
import type { BlockLocation, RecordLocation, TailTable } from "./tail-table.ts";

/** Records per transaction, about; whole blocks. Bounds how long one transaction holds the event loop. */
const TRANSACTION_RECORDS = 2048;
const RETRY_MS = 1000;
/** Rest after a transaction, in multiples of what it took: appends come first while the tail is short. */
const REST_SHARE = 4;

export interface IndexFollowerOptions {
  readonly env: Env;
  readonly logId: string;
  readonly crc: Crc32c;
  readonly align: number;
  readonly store: OrderedStore;
  readonly tail: TailTable;
  readonly names: Dictionary;
  readonly files: SegmentReaders;
  readonly scanner: BlockScanner;
  /** How long to let blocks gather before a transaction, so that a busy log pays for fewer of them. */
  readonly lingerMs: number;
  /** From so many events behind on, the follower no longer rests between transactions. */
  readonly urgentEvents: number;
  /** Called after each transaction. */
  readonly onProgress: () => void;
}

export class IndexFollower {
  readonly #options: IndexFollowerOptions;
  #running: Promise<void> | undefined;
  #stopped = false;
  #rest = new AbortController();
  #hurriedTo = 0;
  #failure: unknown;

  constructor(options: IndexFollowerOptions) {
    this.#options = options;
  }

  /** Why the last transaction failed, until one succeeds. */
  get failure(): unknown {
    return this.#failure;
  }

  /** No rests until everything that is durable now is indexed. */
  hurry(): void {
    this.#hurriedTo = this.#options.tail.end;
    this.#rest.abort();
    this.wake();
  }

  /** There may be more to index. */
  wake(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#hasWork()) this.wake();
    });
  }

  /** Indexes everything durable now. @throws what the store answers */
  async catchUp(): Promise<void> {
    while (this.#hasWork()) await this.#indexSome();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rest.abort();
    await this.#running;
  }

  #hasWork(): boolean {
    return !this.#stopped && this.#options.tail.blocks.length > 0;
  }

  async #run(): Promise<void> {
    const { env, lingerMs, onProgress } = this.#options;
    let restMs = lingerMs;
    while (this.#hasWork()) {
      if (!this.#isUrgent()) await this.#pause(restMs);
      if (this.#stopped) return;
      const startedMs = env.clock.monotonic();
      try {
        await this.#indexSome();
        this.#failure = undefined;
        restMs = Math.max(lingerMs, REST_SHARE * (env.clock.monotonic() - startedMs));
      } catch (thrown) {
        this.#failure = thrown;
        onProgress();
        await this.#pause(RETRY_MS);
      }
    }
  }

  #isUrgent(): boolean {
    const { tail, urgentEvents } = this.#options;
    return tail.base < this.#hurriedTo || tail.size >= urgentEvents;
  }

  /** Ends early when the follower is stopped or hurried. */
  #pause(delayMs: number): Promise<void> {
    this.#rest = new AbortController();
    return pause(this.#options.env, delayMs, this.#rest.signal);
  }

  async #indexSome(): Promise<void> {
    const { tail, scanner, store, onProgress } = this.#options;
    const blocks = someBlocks(tail.blocks);
    const last = blocks.at(-1) as BlockLocation;
    const end = last.first + last.count;
    const rows: BlockRows[] = [];
    for await (const scanned of scanner.blocks(blocks[0] as BlockLocation, end)) {
      for (const block of scanned) rows.push(this.#rowsOf(block));
    }
    const cursor = this.#cursorAt(last);
    await store.transact((tx) => {
      for (const block of rows) writeRows(tx, block);
      tx.put(CURSOR_TABLE, CURSOR_KEY, Buffer.from(JSON.stringify(cursor)));
    });
    tail.release(end);
    onProgress();
  }

  #cursorAt(last: BlockLocation): IndexCursor {
    return {
      logId: this.#options.logId,
      pos: last.first + last.count,
      chain: last.headCrc,
      serial: last.serial,
      offset: last.offset,
      bytes: last.bytes,
      names: this.#options.names.nextNumbers(),
    };
  }

  #rowsOf(block: ScannedBlock): BlockRows {
    const { crc, files, align } = this.#options;
    const { header, view, bytes } = block;
    const location = { ...header, serial: block.serial, offset: block.offset, bytes: paddedBytes(header.bytes, align) };
    const rows = new BlockRows(location);
    visitRecords(block, files.pathOf(block.serial), crc, true, (at, isControl, position) => {
      if (isControl) {
        const payload = bytes.subarray(at + RECORD_HEADER_BYTES, at + view.getUint32(at, true));
        if (typeAt(view, at) === TYPE_NAME) rows.names.push(...decodeNames(payload));
        return;
      }
      rows.add(view, bytes, at, { position, serial: block.serial, offset: block.offset + at - block.at });
    });
    return rows;
  }
}

/** Whole blocks with about {@link TRANSACTION_RECORDS} records. */
function someBlocks(blocks: readonly BlockLocation[]): BlockLocation[] {
  const taken: BlockLocation[] = [];
  let records = 0;
  for (const block of blocks) {
    taken.push(block);
    records += block.count;
    if (records >= TRANSACTION_RECORDS) break;
  }
  return taken;
}

interface StreamRows {
  readonly firstRevision: number;
  readonly records: RecordLocation[];
}

/** What one block adds to the index. */
class BlockRows {
  readonly location: BlockLocation;
  readonly names: Name[] = [];
  readonly streams = new Map<number, StreamRows>();
  readonly types = new Map<number, RecordLocation[]>();
  readonly graphs = new Map<number, RecordLocation[]>();
  readonly nodes = new Map<number, RecordLocation[]>();
  readonly correlations = new Map<string, RecordLocation[]>();

  constructor(location: BlockLocation) {
    this.location = location;
  }

  add(view: DataView, bytes: Buffer, at: number, place: RecordLocation): void {
    const stream = streamAt(view, at);
    const rows = this.streams.get(stream);
    if (rows === undefined) this.streams.set(stream, { firstRevision: revisionAt(view, at), records: [place] });
    else rows.records.push(place);
    listIn(this.types, typeAt(view, at)).push(place);
    if (graphAt(view, at) !== 0) listIn(this.graphs, graphAt(view, at)).push(place);
    if (nodeAt(view, at) !== 0) listIn(this.nodes, nodeAt(view, at)).push(place);
    listIn(this.correlations, bytes.toString("latin1", at + 60, at + 76)).push(place);
  }
}

function listIn<K>(map: Map<K, RecordLocation[]>, key: K): RecordLocation[] {
  const list = map.get(key);
  if (list !== undefined) return list;
  const fresh: RecordLocation[] = [];
  map.set(key, fresh);
  return fresh;
}

function writeRows(tx: OrderedWriter, rows: BlockRows): void {
  tx.put(BLOCK_TABLE, positionKey(rows.location.first), encodeBlock(rows.location));
  for (const name of rows.names) writeName(tx, name);
  for (const [stream, { firstRevision, records }] of rows.streams) {
    for (let at = 0; at < records.length; at += ENTRY_RECORDS_MAX) {
      tx.put(
        STREAM_TABLE,
        streamKey(stream, firstRevision + at),
        encodeLocations(records.slice(at, at + ENTRY_RECORDS_MAX)),
      );
    }
  }
  for (const [type, records] of rows.types) writePosting(tx, postingPrefix("type", type), records);
  for (const [graph, records] of rows.graphs) writePosting(tx, postingPrefix("graph", graph), records);
  for (const [node, records] of rows.nodes) writePosting(tx, postingPrefix("node", node), records);
  for (const [id, records] of rows.correlations) {
    writePosting(tx, postingPrefix("correlation", Buffer.from(id, "latin1")), records);
  }
}

function writePosting(tx: OrderedWriter, prefix: Buffer, records: readonly RecordLocation[]): void {
  for (let at = 0; at < records.length; at += ENTRY_RECORDS_MAX) {
    const part = records.slice(at, at + ENTRY_RECORDS_MAX);
    const key = Buffer.concat([prefix, positionKey((part[0] as RecordLocation).position)]);
    tx.put(POSTING_TABLE, key, encodeLocations(part));
  }
}

function writeName(tx: OrderedWriter, { kind, number, name }: Name): void {
  tx.put(NAME_TABLE, nameKey(kind, number), Buffer.from(name, "utf8"));
  if (numberIn(tx, kind, name) !== undefined) return;
  const key = numberKey(kind, name);
  const text = Buffer.from(name, "utf8");
  const header = Buffer.allocUnsafe(8);
  header.writeUInt32BE(number, 0);
  header.writeUInt32BE(text.length, 4);
  tx.put(NUMBER_TABLE, key, Buffer.concat([tx.get(NUMBER_TABLE, key) ?? new Uint8Array(0), header, text]));
}
