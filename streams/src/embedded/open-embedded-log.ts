import {
  type AppendResult,
  type Disk,
  type Env,
  invariant,
  type MillraceError,
  type OrderedStore,
  type StreamAppend,
} from "@millrace/engine";
import { Appender, type ControlRecord } from "./appender.ts";
import { BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES } from "./block.ts";
import { type BlockKernels, blockKernels } from "./block-kernels.ts";
import { visitRecords } from "./block-records.ts";
import { BlockScanner, type FilePlace, type ScannedBlock } from "./block-scanner.ts";
import { BlockWriter } from "./block-writer.ts";
import { StoredCarry } from "./carry-file.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { CommitSignal } from "./commit-signal.ts";
import { crc32c } from "./crc32c.ts";
import { Dictionary, decodeNames, TYPE_NAME, TYPE_TAIL_CUT, TYPE_TRUNCATED } from "./dictionary.ts";
import { lockDirectory } from "./directory-lock.ts";
import { EmbeddedLog } from "./embedded-log.ts";
import { EventId } from "./event-id.ts";
import { IndexFollower } from "./index-follower.ts";
import { type KeptFrom, keptFrom, retryPruned } from "./kept-range.ts";
import { LagBounds } from "./lag-bound.ts";
import { alignUp } from "./little-endian.ts";
import { type IndexCursor, LogIndex } from "./log-index.ts";
import { type IndexerSettings, inlineIndexer, type LogIndexer } from "./log-indexer.ts";
import { LogReader } from "./log-reader.ts";
import { LogRetention } from "./log-retention.ts";
import { idOfSegment } from "./manifest.ts";
import { RecentAppends } from "./recent-appends.ts";
import { EVENT_ID, indexInAppendAt, RECORD_HEADER_BYTES, revisionAt, streamAt, typeAt } from "./record.ts";
import { RecordFetcher } from "./record-fetcher.ts";
import { tagsAt } from "./record-tags.ts";
import { type Recovered, recover } from "./recovery.ts";
import { ALL_RULES_HOLD, type RulesOff } from "./rules.ts";
import { sealBytes } from "./seal.ts";
import { PAGE_SIZE_BYTES, SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import { SegmentPreparation } from "./segment-preparation.ts";
import { SegmentReaders } from "./segment-readers.ts";
import { StreamHeads } from "./stream-heads.ts";
import { TailTable } from "./tail-table.ts";
import type { Witness } from "./witnesses.ts";

export interface EmbeddedLogOptions {
  /** Directory of the log, absolute; made when it is missing. */
  readonly directory: string;
  readonly disk: Disk;
  readonly env: Env;
  /** Holds the index; emptied when it belongs to another log. Closing it stays with the caller. */
  readonly indexStore: OrderedStore;
  /** Writes the index elsewhere, into the same store; the log closes it. Default: in this thread. */
  readonly indexer?: (settings: IndexerSettings) => LogIndexer;
  /** Size of a segment of a new log. Default 64 MiB, a multiple of 4 KiB, at least 32 KiB. */
  readonly segmentBytes?: number;
  /** Each of the two write buffers. Default 4 MiB; an append that is larger makes one grow. */
  readonly bufferBytes?: number;
  /** Events that may wait for the index before appends are refused with LOG-LAG. Default 1 048 576 (12 bytes of memory each). */
  readonly tailEventsMax?: number;
  /**
   * Streams whose heads and names are kept in memory, about, beside those with events that wait for the index. Others are looked up in the
   * index when they are appended to or read, so a log may have any number of them. Default 131 072 (some 200 bytes of memory each), at least 2.
   */
  readonly streamsKept?: number;
  /** How long commits gather before they are indexed. Default 50. */
  readonly indexLingerMs?: number;
  /** How many of the last appends are recognised when they are retried expecting any revision. A power of two, default 16 384. */
  readonly recentAppends?: number;
  /** How long to wait for the lock of a process that is just dying. Default 1000. */
  readonly lockWaitMs?: number;
  /** What else has seen this log, beside its index: snapshots, projections, signed checkpoints. */
  readonly witnesses?: readonly Witness[];
  /** Default: those in TypeScript. */
  readonly kernels?: BlockKernels | undefined;
  /** Called once when a block write failed (LOG-FSYNC): the host exits, the next start recovers from what the disk has. */
  readonly onFatal?: (error: MillraceError) => void;
  /** For fault tests only: rules of the format that do not hold. */
  readonly rulesOff?: RulesOff;
}

const MIB = 1024 * 1024;
const SEGMENT_BYTES = 64 * MIB;
const SEGMENT_BYTES_MIN = 32 * 1024;
const BUFFER_BYTES = 4 * MIB;
const RESERVE_BYTES_MAX = 128 * 1024;
const RESERVE_SHARE = 16;
const URGENT_SHARE = 4;
const RATE_WINDOW_MS = 250;
const TAIL_EVENTS_MAX = 1_048_576;
const STREAMS_KEPT = 131_072;

/**
 * Opens the log of a directory, or makes it: takes its lock, recovers, catches up with the index, then takes appends.
 *
 * @throws LOG-LOCKED another process has it
 * @throws LOG-MANIFEST a file is missing, swapped, of another log, or the manifest is damaged
 * @throws LOG-CORRUPT finished bytes have changed; the details have file, offset, position
 * @throws LOG-TAIL-LOST a witness has seen more than the log has
 * @throws LOG-SCHEMA the log has a format of another version
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { disk, directory, env } = options;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  invariant(
    segmentBytes >= SEGMENT_BYTES_MIN && segmentBytes % PAGE_SIZE_BYTES === 0,
    "segmentBytes is a multiple of 4 KiB, at least 32 KiB",
  );
  invariant((options.streamsKept ?? STREAMS_KEPT) >= 2, "streamsKept is at least 2");
  await disk.makeDirectory(directory);
  const lock = await lockDirectory(disk, directory, env, options.lockWaitMs ?? 1000);
  try {
    return await new Opening(options, segmentBytes).open(lock);
  } catch (thrown) {
    await lock.release();
    throw thrown;
  }
}

/** Behind what the index holds. */
interface IndexPlace extends FilePlace {
  readonly position: number;
}

/** Builds the parts of one log around what recovery found. */
class Opening {
  readonly #options: EmbeddedLogOptions;
  readonly #kernels: BlockKernels;
  readonly #rulesOff: RulesOff;
  readonly #align: number;
  readonly #segmentBytesOfNew: number;
  readonly #index: LogIndex;
  readonly #names: Dictionary;

  constructor(options: EmbeddedLogOptions, segmentBytes: number) {
    this.#options = options;
    this.#kernels = options.kernels ?? blockKernels(crc32c);
    this.#rulesOff = options.rulesOff ?? ALL_RULES_HOLD;
    this.#align = this.#rulesOff.has("L-R5") ? 512 : PAGE_SIZE_BYTES;
    this.#segmentBytesOfNew = segmentBytes;
    this.#index = new LogIndex(options.indexStore);
    this.#names = new Dictionary(this.#index, this.#streamsKept);
  }

  get #streamsKept(): number {
    return this.#options.streamsKept ?? STREAMS_KEPT;
  }

  get #tailEventsMax(): number {
    return this.#options.tailEventsMax ?? TAIL_EVENTS_MAX;
  }

  async open(lock: Awaited<ReturnType<typeof lockDirectory>>): Promise<EmbeddedLog> {
    const { env, disk, directory } = this.#options;
    const recovered = await recover({
      disk,
      directory,
      env,
      crc: crc32c,
      kernels: this.#kernels,
      rulesOff: this.#rulesOff,
      align: this.#align,
      segmentBytes: this.#segmentBytesOfNew,
      lockWaitMs: this.#options.lockWaitMs ?? 1000,
      witnesses: () => this.#witnesses(),
    });
    try {
      return await this.#assemble(recovered, lock);
    } catch (thrown) {
      recovered.active.hash.discard();
      throw thrown;
    }
  }

  #witnesses(): readonly Witness[] {
    const cursor = this.#index.cursor();
    const index =
      cursor === undefined ? [] : [{ name: "index", logId: cursor.logId, pos: cursor.pos, chain: cursor.chain }];
    return [...index, ...(this.#options.witnesses ?? [])];
  }

  async #assemble(recovered: Recovered, lock: Awaited<ReturnType<typeof lockDirectory>>): Promise<EmbeddedLog> {
    const { env, disk, directory } = this.#options;
    const manifest = recovered.manifest;
    const { logId, segmentBytes } = manifest.current;
    const carry = await StoredCarry.open(disk, directory, manifest.current.carry);
    const indexer = this.#indexer(segmentBytes);
    const indexed = await this.#indexPlace(logId, keptFrom(manifest.current), carry);
    const place = await this.#caughtUp(indexer, logId, indexed, recovered.next.position);
    const tail = new TailTable(place.position);
    const heads = new StreamHeads(this.#names, this.#index, tail, this.#streamsKept);
    const idOf = (serial: number): string => idOfSegment(manifest.current, serial);
    const files = new SegmentReaders(disk, directory, this.#kernels, idOf, () => keptFrom(manifest.current));
    const scanner = new BlockScanner(files, crc32c, this.#align, segmentBytes);
    const checked = !this.#rulesOff.has("record-crc");
    const fetcher = new RecordFetcher(files, crc32c, this.#names, segmentBytes, checked);
    const parts = {
      kernels: checked ? this.#kernels : { ...this.#kernels, checkRecords: () => -1 },
      names: this.#names,
      index: this.#index,
      tail,
      heads,
      files,
      scanner,
      fetcher,
    };
    const pause = (): Promise<void> => new Promise((resolve) => env.turns.yieldToIo(resolve));
    const reader = new LogReader({ ...parts, base: () => keptFrom(manifest.current), pause });
    const commits = new CommitSignal();
    const follower = new IndexFollower({
      env,
      logId,
      indexer,
      tail,
      names: this.#names,
      lingerMs: this.#options.indexLingerMs ?? 50,
      urgentEvents: this.#tailEventsMax / 2,
      onProgress: () => commits.fire(),
    });
    await this.#fold(scanner, files, tail, heads, place, recovered.next.position);
    const recent = new RecentAppends(this.#options.recentAppends ?? 16_384);
    await this.#recall(reader, scanner, files, recent, recovered.next.position);
    const lastTimeMs = Math.max(carry.timeMs, await timeOfLast(reader, recovered.next.position));

    const rate = { bytes: 0, perSecond: 0, sinceMs: env.clock.monotonic() };
    const preparation = new SegmentPreparation(
      { disk, directory, env, crc: crc32c, rulesOff: this.#rulesOff, logId, segmentBytes, manifest },
      {
        appendRate: () => measuredRate(rate, writer.writtenBytes, env.clock.monotonic()),
        isUrgent: () =>
          appender.isWaiting || writer.active.sizeBytes - writer.active.offset < segmentBytes / URGENT_SHARE,
        changed: () => {
          appender.drain();
          commits.fire();
        },
      },
    );
    const writer = new BlockWriter(
      {
        env,
        crc: crc32c,
        kernels: this.#kernels,
        rulesOff: this.#rulesOff,
        align: this.#align,
        bufferBytes: Math.min(this.#options.bufferBytes ?? BUFFER_BYTES, segmentBytes),
        reserveBytes: reserveBytes(segmentBytes, this.#align),
        epoch: manifest.current.epoch,
        preparation,
        onDurable: (block) => log.publish(block),
        onRoom: () => appender.drain(),
        onFailure: (cause) => log.fail(cause),
      },
      {
        active: recovered.active,
        seq: recovered.next.seq,
        prev: recovered.next.prev,
        position: recovered.next.position,
      },
    );
    const appendBytesMax =
      Math.min(BLOCK_BYTES_MAX, segmentBytes - SEGMENT_HEADER_BYTES - sealBytes(this.#align)) - BLOCK_HEADER_BYTES;
    const bounds = new LagBounds();
    const appender: Appender = new Appender(
      {
        env,
        names: this.#names,
        heads,
        tail,
        recent,
        writer,
        appendBytesMax,
        tailEventsMax: this.#tailEventsMax,
        bounds,
        recall: (appends, position) => recallAppend(log, reader, appends, position),
        positionOf: (stream, revision) => positionOf(heads, this.#index, stream, revision),
      },
      lastTimeMs,
      controlsOf(recovered),
    );
    const retention = new LogRetention({
      ...parts,
      disk,
      directory,
      manifest,
      align: this.#align,
      segmentBytes,
      rulesOff: this.#rulesOff,
      stored: (from, end) => reader.stored(from, end),
      indexedEnd: () => tail.base,
      timeAt: (position) => timeAt(reader, position),
    });
    const log: EmbeddedLog = new EmbeddedLog(
      {
        id: logId,
        appendBytesMax,
        appender,
        writer,
        preparation,
        manifest,
        lock,
        reader,
        names: this.#names,
        index: this.#index,
        heads,
        tail,
        files,
        follower,
        commits,
        bounds,
        retention,
        tailCut: recovered.cut,
        onFatal: this.#options.onFatal ?? (() => undefined),
      },
      recovered.next.position,
    );
    log.begin(recovered.next.prev);
    if (recovered.prepared !== undefined) preparation.adopt(recovered.prepared);
    else preparation.begin(recovered.active.serial + 1, (m) => m);
    follower.wake();
    return log;
  }

  #indexer(segmentBytes: number): LogIndexer {
    const { directory, disk, indexStore } = this.#options;
    const settings = { directory, align: this.#align, segmentBytes };
    return (
      this.#options.indexer?.(settings) ??
      inlineIndexer({ ...settings, disk, store: indexStore, kernels: this.#kernels })
    );
  }

  /** Where the fold begins: behind what the index holds, which is made again when it is another log's or ends below the base. */
  async #indexPlace(logId: string, kept: KeptFrom, carry: StoredCarry): Promise<IndexPlace> {
    const cursor = this.#index.cursor();
    if (cursor === undefined || cursor.logId !== logId || cursor.pos < kept.position) {
      await this.#index.wipe();
      if (kept.position > 0) await carry.writeNamesTo(this.#options.indexStore, this.#names);
      if (kept.position > 0) await carry.writeTo(this.#options.indexStore, kept.position);
      return { ...kept, offset: SEGMENT_HEADER_BYTES };
    }
    // An older copy of the index, made before the last prune.
    if (this.#index.carriedBase() < kept.position) await carry.writeTo(this.#options.indexStore, kept.position);
    return this.#behind(cursor);
  }

  #behind(cursor: IndexCursor): IndexPlace {
    this.#names.restoreNextNumbers(cursor.names);
    return { serial: cursor.serial, offset: cursor.offset + cursor.bytes, position: cursor.pos };
  }

  /** What would fill half of the tail is not folded but indexed at once, and found there. */
  async #caughtUp(indexer: LogIndexer, logId: string, from: IndexPlace, end: number): Promise<IndexPlace> {
    if (end - from.position <= this.#tailEventsMax / 2) return from;
    try {
      await indexer.catchUp({ logId, from, end, names: this.#names.nextNumbers() });
    } catch (thrown) {
      await indexer.close();
      throw thrown;
    }
    const cursor = this.#index.cursor();
    invariant(cursor?.pos === end, "what was indexed ends where the log does");
    return this.#behind(cursor);
  }

  /** Index at its position + fold of the log to the durable end, before the first append (L-R16). */
  async #fold(
    scanner: BlockScanner,
    files: SegmentReaders,
    tail: TailTable,
    heads: StreamHeads,
    from: IndexPlace,
    end: number,
  ): Promise<void> {
    if (tail.end >= end) return;
    for await (const blocks of scanner.blocks(from, end, new ChunkBuffers())) {
      for (const block of blocks) {
        const { header, view, bytes, serial, offset } = block;
        visitRecords(block, files.pathOf(serial), this.#kernels, (at, isControl) => {
          if (!isControl) {
            this.#foldEvent(tail, heads, block, at);
          } else if (typeAt(view, at) === TYPE_NAME) {
            const payload = bytes.subarray(at + RECORD_HEADER_BYTES, at + view.getUint32(at, true));
            for (const name of decodeNames(payload)) this.#names.learn(name);
          }
        });
        tail.addBlock({ ...header, serial, offset, bytes: alignUp(header.bytes, this.#align) });
      }
    }
  }

  #foldEvent(tail: TailTable, heads: StreamHeads, { bytes, view, at: start }: ScannedBlock, at: number): void {
    const stream = streamAt(view, at);
    const name = this.#names.nameOf("stream", stream);
    const isOff = this.#rulesOff.has("L-R16");
    const state = isOff ? heads.get(name, stream) : heads.begun(name, stream);
    const position = tail.end;
    tail.add(state.lastPosition, at - start, tagsAt(bytes, view, at));
    if (isOff) return;
    state.head = revisionAt(view, at);
    state.lastPosition = position;
  }

  /** Fills the window of recent appends from the end of the log. */
  async #recall(
    reader: LogReader,
    scanner: BlockScanner,
    files: SegmentReaders,
    recent: RecentAppends,
    end: number,
  ): Promise<void> {
    const from = reader.placeOf(Math.max(reader.base, end - recent.capacity));
    if (end === reader.base || from === undefined) return;
    const id = new EventId();
    for await (const blocks of scanner.blocks(from, end, new ChunkBuffers())) {
      for (const block of blocks) {
        let begins = false;
        visitRecords(block, files.pathOf(block.serial), this.#kernels, (at, isControl, position) => {
          begins ||= indexInAppendAt(block.view, at) === 0;
          if (isControl || !begins) return;
          id.read(block.bytes, at + EVENT_ID);
          recent.add(id, streamAt(block.view, at), position);
          begins = false;
        });
      }
    }
  }
}

function reserveBytes(segmentBytes: number, align: number): number {
  const share = Math.min(RESERVE_BYTES_MAX, segmentBytes / RESERVE_SHARE);
  return Math.max(alignUp(share, PAGE_SIZE_BYTES), sealBytes(align));
}

/** A loss that was accepted is told by the first block behind it: while there is none, it has not been told. */
function controlsOf({ cut, manifest, next }: Recovered): ControlRecord[] {
  const { truncated } = manifest.current;
  const told = (type: number, value: object): ControlRecord => ({
    type,
    payload: Buffer.from(JSON.stringify(value), "utf8"),
  });
  return [
    ...(truncated?.from === next.position ? [told(TYPE_TRUNCATED, truncated)] : []),
    ...(cut === undefined ? [] : [told(TYPE_TAIL_CUT, cut)]),
  ];
}

async function timeAt(reader: LogReader, position: number): Promise<number> {
  for await (const { events } of reader.forward(position, position + 1, undefined)) return events[0]?.timeMs ?? 0;
  return 0;
}

async function timeOfLast(reader: LogReader, end: number): Promise<number> {
  if (end === reader.base) return 0;
  for await (const events of reader.backward(end - 1, end, undefined)) return events[0]?.timeMs ?? 0;
  return 0;
}

/** The outcome of an append that begins at `position`, if it is this one. Waits until that is durable. */
async function recallAppend(
  log: EmbeddedLog,
  reader: LogReader,
  appends: readonly StreamAppend[],
  position: number,
): Promise<AppendResult | undefined> {
  if (position < reader.base) throw retryPruned(position, reader.base);
  const wanted = appends.flatMap(({ stream, events }) => events.map((event) => ({ stream, id: event.id })));
  const end = position + wanted.length;
  await log.durable(Math.min(end, position + 1));
  if (end > log.durableEnd) return undefined;
  const found = [];
  for await (const batch of reader.forward(position, end, undefined)) found.push(...batch.events);
  for (const [i, { stream, id }] of wanted.entries()) {
    const event = found[i];
    if (event === undefined || event.stream !== stream || Buffer.compare(event.id, id) !== 0) return undefined;
  }
  const revisions: number[] = [];
  let at = 0;
  for (const { events } of appends) {
    at += events.length;
    revisions.push((found[at - 1] as { readonly revision: number }).revision);
  }
  return { position: end - 1, firstPosition: position, revisions, repeated: true };
}

function positionOf(heads: StreamHeads, index: LogIndex, stream: string, revision: number): number | undefined {
  const state = heads.find(stream);
  if (state === undefined || revision > state.head) return undefined;
  const tail = heads.tailOf(state, revision, Number.POSITIVE_INFINITY);
  if (tail.firstRevision <= revision) return tail.positions[revision - tail.firstRevision];
  // An event without a row was pruned before the index was made again: it is below the base, wherever it was.
  return index.locationOf(state.number, revision)?.position ?? 0;
}

interface Rate {
  bytes: number;
  perSecond: number;
  sinceMs: number;
}

function measuredRate(rate: Rate, writtenBytes: number, nowMs: number): number {
  const elapsedMs = nowMs - rate.sinceMs;
  if (elapsedMs >= RATE_WINDOW_MS) {
    rate.perSecond = ((writtenBytes - rate.bytes) * 1000) / elapsedMs;
    rate.bytes = writtenBytes;
    rate.sinceMs = nowMs;
  }
  return rate.perSecond;
}
