/**
 * Writes the index of durable blocks: it reads them, and commits rows and cursor in one transaction (L-R22). It needs nothing of
 * the log but files and a store, so it may run in another thread than the log.
 */
import type { Disk, OrderedStore } from "@millrace/engine";
import { paddedBytes } from "./block.ts";
import { type BlockKernels, blockKernels } from "./block-kernels.ts";
import { visitRecords } from "./block-records.ts";
import { BlockScanner, type FilePlace, type ScannedBlock } from "./block-scanner.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { crc32c } from "./crc32c.ts";
import { NAME_KINDS } from "./dictionary.ts";
import { CURSOR_KEY, CURSOR_TABLE } from "./index-keys.ts";
import { IndexRows } from "./index-rows.ts";
import { StreamCategories } from "./list-rows.ts";
import type { IndexCursor } from "./log-index.ts";
import { SegmentReaders } from "./segment-readers.ts";

/** A run of whole durable blocks: from a block's place on, up to the position where the cursor will stand. */
export interface IndexJob {
  readonly from: FilePlace;
  /** How many events that is. */
  readonly events: number;
  readonly cursor: IndexCursor;
}

/** All that is durable and not in the index, from a block's place on: more than the log's memory should hold meanwhile. */
export interface CatchUpJob {
  readonly logId: string;
  readonly from: FilePlace;
  /** Position where the last block ends. */
  readonly end: number;
  /** Next dictionary numbers at `from`. */
  readonly names: readonly number[];
}

/** Where the log's rows get written. The log asks for one job at a time. */
export interface LogIndexer {
  /** Events of a job, about: it takes whole blocks. Bounds what one transaction costs whoever shares its thread. */
  readonly jobEventsMax: number;
  /** Rest after a job, in multiples of what it took: appends come first where both share a thread or a disk. */
  readonly restShare: number;
  /** Resolves when the rows are durable and the log's own reads of the store see them. @throws what the store answers, LOG-CORRUPT */
  index(job: IndexJob): Promise<void>;
  /**
   * Indexes a long way in one call: transactions of many events each, of which one is committed while the next is read. What was
   * committed when it fails or is killed stays, with its cursor. @throws like `index`
   */
  catchUp(job: CatchUpJob): Promise<void>;
  close(): Promise<void>;
}

/** What an indexer must know of the log; may be sent to another thread. */
export interface IndexerSettings {
  readonly directory: string;
  /** Of blocks, in bytes. */
  readonly align: number;
  readonly segmentBytes: number;
}

export interface LogIndexerOptions extends IndexerSettings {
  readonly disk: Disk;
  readonly store: OrderedStore;
  /** Default: those in TypeScript. */
  readonly kernels?: BlockKernels | undefined;
  /** Events of a transaction when catching up, about: what a key gathers in one becomes one entry. Default 131,072. */
  readonly catchUpEvents?: number;
}

const JOB_EVENTS_MAX = 2048;
const REST_SHARE = 4;
const CATCH_UP_EVENTS = 131_072;

/** An indexer in the thread of its caller. */
export function inlineIndexer(options: LogIndexerOptions): LogIndexer {
  return new InlineIndexer(options);
}

class InlineIndexer implements LogIndexer {
  readonly jobEventsMax = JOB_EVENTS_MAX;
  readonly restShare = REST_SHARE;
  readonly #store: OrderedStore;
  readonly #categories = new StreamCategories();
  readonly #files: SegmentReaders;
  readonly #scanner: BlockScanner;
  readonly #buffers = new ChunkBuffers();
  readonly #kernels: BlockKernels;
  readonly #align: number;
  readonly #catchUpEvents: number;

  constructor(options: LogIndexerOptions) {
    this.#store = options.store;
    this.#kernels = options.kernels ?? blockKernels(crc32c);
    this.#align = options.align;
    this.#catchUpEvents = options.catchUpEvents ?? CATCH_UP_EVENTS;
    this.#files = new SegmentReaders(options.disk, options.directory, this.#kernels);
    this.#scanner = new BlockScanner(this.#files, crc32c, options.align, options.segmentBytes);
  }

  async index({ from, cursor }: IndexJob): Promise<void> {
    const runs: IndexRows[] = [];
    for await (const blocks of this.#scanner.blocks(from, cursor.pos, this.#buffers)) {
      for (const block of blocks) this.#add(runs, block);
    }
    await this.#write(runs, cursor);
    await this.#files.forgetBelow(cursor.serial);
  }

  async catchUp({ logId, from, end, names }: CatchUpJob): Promise<void> {
    let next = names;
    let writing = Promise.resolve();
    let runs: IndexRows[] = [];
    let events = 0;
    try {
      for await (const blocks of this.#scanner.blocks(from, end, this.#buffers)) {
        for (const block of blocks) {
          this.#add(runs, block);
          events += block.header.count;
          if (events < this.#catchUpEvents && block.header.first + block.header.count < end) continue;
          next = nextNumbersAfter(next, runs);
          await writing;
          writing = this.#write(runs, this.#cursorAt(logId, block, next));
          // Awaited before the next is written; a failure until then is nobody's.
          writing.catch(() => undefined);
          runs = [];
          events = 0;
        }
      }
    } finally {
      await writing;
    }
    await this.#files.close();
  }

  #write(runs: readonly IndexRows[], cursor: IndexCursor): Promise<void> {
    return this.#store.transact((tx) => {
      for (const rows of runs) rows.writeTo(tx, this.#categories);
      tx.put(CURSOR_TABLE, CURSOR_KEY, Buffer.from(JSON.stringify(cursor)));
    });
  }

  #cursorAt(logId: string, { header, serial, offset }: ScannedBlock, names: readonly number[]): IndexCursor {
    const bytes = paddedBytes(header.bytes, this.#align);
    return { logId, pos: header.first + header.count, chain: header.headCrc, serial, offset, bytes, names };
  }

  close(): Promise<void> {
    return this.#files.close();
  }

  #add(runs: IndexRows[], block: ScannedBlock): void {
    const { header, serial, offset } = block;
    let rows = runs.at(-1);
    if (rows?.serial !== serial) {
      rows = new IndexRows(serial, header.first);
      runs.push(rows);
    }
    const run = rows;
    run.addBlock({ ...header, serial, offset, bytes: paddedBytes(header.bytes, this.#align) });
    visitRecords(block, this.#files.pathOf(serial), this.#kernels, (at, isControl) => {
      if (isControl) run.addControl(block, at);
      else run.addEvent(block, at);
    });
  }
}

function nextNumbersAfter(next: readonly number[], runs: readonly IndexRows[]): readonly number[] {
  const after = [...next];
  for (const { names } of runs) {
    for (const { kind, number } of names) {
      const at = NAME_KINDS.indexOf(kind);
      after[at] = Math.max(after[at] ?? 0, number + 1);
    }
  }
  return after;
}
