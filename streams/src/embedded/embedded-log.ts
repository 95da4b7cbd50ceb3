/**
 * The event log on this machine's own disk. It wires the parts: admission, group commit, preparation of segments, readers, the
 * index follower and subscriptions. `openEmbeddedLog` makes one; the format and its rules are in FORMAT.md.
 */
import {
  type AppendCondition,
  type AppendResult,
  type CarriedStream,
  type ErrorReport,
  type EventLists,
  type EventLog,
  type LiveStoredLog,
  type LockKind,
  logError,
  type MillraceError,
  type PrunedEnd,
  type PrunedLeaves,
  type ReadOptions,
  type RecordedEvent,
  reportOf,
  type StoredBatch,
  type StreamAppend,
  type SubscribeOptions,
  type SubscriptionBatch,
} from "@millrace/engine";
import type { Appender } from "./appender.ts";
import type { BlockWriter } from "./block-writer.ts";
import type { CommitSignal } from "./commit-signal.ts";
import { ConditionalAppends } from "./conditional-appends.ts";
import type { DirectoryLock } from "./directory-lock.ts";
import { embeddedLogError } from "./errors.ts";
import type { IndexFollower } from "./index-follower.ts";
import type { BoundedFollower, LagBounds } from "./lag-bound.ts";
import { ListedEvents, type ListedEventsParts } from "./listed-events.ts";
import type { LogReader } from "./log-reader.ts";
import type { LogRetention } from "./log-retention.ts";
import type { ManifestFile } from "./manifest.ts";
import type { TailCut } from "./recovery.ts";
import type { SegmentPreparation } from "./segment-preparation.ts";
import type { SegmentReaders } from "./segment-readers.ts";
import { followStored } from "./stored-subscription.ts";
import type { StreamHeads } from "./stream-heads.ts";
import { type SubscriptionSource, subscription } from "./subscription.ts";
import type { BlockLocation, TailTable } from "./tail-table.ts";

export interface EmbeddedLogHealth {
  readonly state: "open" | "full" | "stopped" | "closed";
  /** How this process holds the directory: `pid-file` is the fallback of platforms without flock. */
  readonly lock: LockKind;
  /** Writer incarnation. */
  readonly epoch: number;
  readonly activeSegment: number;
  readonly nextSegmentReady: boolean;
  /** Why the next segment could not be prepared, while that lasts. */
  readonly preparation: ErrorReport | undefined;
  /** Events that the index does not hold yet. */
  readonly indexLag: number;
  /** Why the index does not move, while that lasts. */
  readonly index: ErrorReport | undefined;
  /** The torn tail that opening cut. */
  readonly tailCut: TailCut | undefined;
}

export interface EmbeddedLogParts extends Pick<ListedEventsParts, "names" | "index"> {
  readonly id: string;
  readonly appendBytesMax: number;
  readonly appender: Appender;
  readonly writer: BlockWriter;
  readonly preparation: SegmentPreparation;
  readonly manifest: ManifestFile;
  readonly lock: DirectoryLock;
  readonly reader: LogReader;
  readonly heads: StreamHeads;
  readonly tail: TailTable;
  readonly files: SegmentReaders;
  readonly follower: IndexFollower;
  readonly commits: CommitSignal;
  readonly bounds: LagBounds;
  readonly retention: LogRetention;
  readonly tailCut: TailCut | undefined;
  readonly onFatal: (error: MillraceError) => void;
}

export class EmbeddedLog implements EventLog, LiveStoredLog {
  readonly id: string;
  readonly appendBytesMax: number;
  readonly lists: EventLists;
  readonly #conditional: ConditionalAppends;
  readonly #parts: EmbeddedLogParts;
  #durableEnd: number;
  #chain = 0;
  #state: "open" | "stopped" | "closing" | "closed" = "open";
  #closed: Promise<void> | undefined;

  constructor(parts: EmbeddedLogParts, durableEnd: number) {
    this.id = parts.id;
    this.appendBytesMax = parts.appendBytesMax;
    this.#parts = parts;
    this.#durableEnd = durableEnd;
    this.#conditional = new ConditionalAppends({
      append: (appends) => parts.appender.append(appends),
      read: (options) => this.read(options),
      settled: () => this.#settled(),
    });
    this.lists = new ListedEvents({
      ...parts,
      durableEnd: () => this.#durableEnd,
      mustBeOpen: () => this.mustBeOpen(),
    });
  }

  get durableEnd(): number {
    return this.#durableEnd;
  }

  get health(): EmbeddedLogHealth {
    const { preparation, writer, tail, follower, lock, manifest, tailCut } = this.#parts;
    const open = preparation.failure === undefined ? "open" : "full";
    return {
      state: this.#state === "open" ? open : this.#state === "stopped" ? "stopped" : "closed",
      lock: lock.kind,
      epoch: manifest.current.epoch,
      activeSegment: writer.active.serial,
      nextSegmentReady: preparation.isReady,
      preparation: preparation.failure === undefined ? undefined : reportOf(preparation.failure),
      indexLag: tail.size,
      index: follower.failure === undefined ? undefined : reportOf(follower.failure),
      tailCut,
    };
  }

  /** From now on appends are refused with LOG-LAG while the follower is too far behind, until what is returned is called. */
  bound(follower: BoundedFollower): () => void {
    return this.#parts.bounds.add(follower);
  }

  append(appends: readonly StreamAppend[]): Promise<AppendResult> {
    return this.#conditional.append(appends);
  }

  appendIf(condition: AppendCondition, appends: readonly StreamAppend[]): Promise<AppendResult> {
    return this.#conditional.appendIf(condition, appends);
  }

  read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    return this.#read(options, this.#durableEnd);
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    return this.#readStream(stream, options, this.#durableEnd);
  }

  async head(stream: string): Promise<number> {
    this.mustBeOpen();
    return this.#parts.heads.durableHead(stream, this.#durableEnd);
  }

  async prunedEnd(stream: string): Promise<PrunedEnd | undefined> {
    this.mustBeOpen();
    return this.#parts.reader.prunedEnd(stream, this.#durableEnd);
  }

  async carried(stream: string): Promise<CarriedStream | undefined> {
    this.mustBeOpen();
    return this.retention.carried(stream);
  }

  carriedBytes(): AsyncIterable<Uint8Array> {
    return this.retention.carriedBytes();
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionBatch> {
    return this.retention.needed(options.from ?? 0, subscription(this.#liveSource(), options));
  }

  /** First position whose record can be read, from the archive or here. */
  get base(): number {
    return this.#parts.retention.keptFrom.position;
  }

  /** Archive, prune and scrub. */
  get retention(): LogRetention {
    return this.#parts.retention;
  }

  readStored(from: number, to: number): AsyncIterable<StoredBatch> {
    this.mustBeOpen();
    return this.#parts.reader.stored(from, Math.min(to, this.#durableEnd));
  }

  /** Leaf hashes of the positions below {@link base}. @throws LOG-ARCHIVE */
  prunedLeaves(): AsyncIterable<PrunedLeaves> {
    return this.#parts.retention.prunedLeaves();
  }

  followStored(from: number, signal: AbortSignal): AsyncIterable<StoredBatch> {
    return this.retention.needed(from, followStored(this.#liveSource(), from, signal));
  }

  #liveSource(): SubscriptionSource {
    const { reader, commits } = this.#parts;
    const log = this;
    return {
      reader,
      commits,
      get durableEnd(): number {
        return log.#durableEnd;
      },
      isOpen: () => {
        if (this.#state === "stopped") this.mustBeOpen();
        return this.#state === "open";
      },
    };
  }

  /**
   * What a follower outside the log stores beside its rows, to be given as a witness at the next opening: the end of the last
   * durable block and its chain value.
   */
  witness(): { readonly logId: string; readonly pos: number; readonly chain: number } {
    return { logId: this.id, pos: this.#durableEnd, chain: this.#chain };
  }

  /** Resolves when the index holds everything that is durable now. */
  async indexed(): Promise<void> {
    const end = this.#durableEnd;
    const { tail, commits, follower } = this.#parts;
    while (tail.base < end && this.#state === "open") {
      follower.hurry();
      await commits.next();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Called by the writer when a block is on disk, before its callers are told. */
  publish(block: BlockLocation): void {
    const { tail, bounds, commits, follower } = this.#parts;
    this.#durableEnd = Math.max(this.#durableEnd, block.first + block.count);
    this.#chain = block.headCrc;
    tail.addBlock(block);
    bounds.look();
    commits.fire();
    follower.wake();
  }

  /** The chain value at the end that recovery found. */
  begin(chain: number): void {
    this.#chain = chain;
  }

  /** Called by the writer once, when a block write failed: the log stops for good (L-R6). */
  fail(cause: unknown): void {
    if (this.#state === "stopped") return;
    this.#state = "stopped";
    const { writer, appender, commits, onFatal } = this.#parts;
    const fatal = embeddedLogError("LOG-FSYNC", "a block write failed; the log has stopped", {
      cause,
      place: { file: writer.active.path, position: this.#durableEnd },
    });
    const refusal = logError("LOG-CLOSED", "the log stopped after a failed write", { cause: fatal });
    appender.stop(refusal);
    writer.stop(
      () => logError("LOG-UNKNOWN", "the write that carried this append failed", { cause: fatal }),
      () => refusal,
      fatal,
    );
    commits.fire();
    onFatal(fatal);
  }

  /** Resolves when everything below `end` is durable. @throws LOG-CLOSED when that never happens */
  async durable(end: number): Promise<void> {
    while (this.#durableEnd < end) {
      this.mustBeOpen();
      await this.#parts.commits.next();
    }
  }

  /** @throws LOG-CLOSED */
  mustBeOpen(): void {
    if (this.#state === "open") return;
    throw logError(
      "LOG-CLOSED",
      this.#state === "stopped" ? "the log stopped after a failed write" : "the log was closed",
    );
  }

  async #settled(): Promise<void> {
    const { appender, tail, commits } = this.#parts;
    while (appender.isWaiting) {
      this.mustBeOpen();
      await commits.next();
    }
    await this.durable(tail.end);
  }

  async *#read(options: ReadOptions, end: number): AsyncGenerator<readonly RecordedEvent[]> {
    this.mustBeOpen();
    const { reader } = this.#parts;
    const batches =
      options.direction === "backward"
        ? reader.backward(options.from ?? end - 1, end, options.filter)
        : eventsOf(reader.forward(options.from ?? 0, end, options.filter));
    yield* limited(batches, options.limit);
  }

  async *#readStream(stream: string, options: ReadOptions, end: number): AsyncGenerator<readonly RecordedEvent[]> {
    this.mustBeOpen();
    yield* limited(this.#parts.reader.stream(stream, options, end), options.limit);
  }

  async #close(): Promise<void> {
    const { appender, writer, preparation, follower, manifest, commits } = this.#parts;
    const wasOpen = this.#state === "open";
    const refuse = logError("LOG-CLOSED", "the log was closed");
    while (this.#state === "open" && (writer.isBusy || appender.isWaiting)) {
      if (writer.isBusy) await writer.settled();
      else if (preparation.failure !== undefined) break;
      else await commits.next();
    }
    appender.stop(refuse);
    await writer.settled();
    writer.active.hash.discard();
    if (this.#state === "open") this.#state = "closing";
    try {
      await this.#parts.retention.settled();
      await preparation.stop();
      await follower.stop();
      if (wasOpen && this.#state === "closing") {
        await manifest.update((m) => ({ ...m, openEnd: { pos: this.#durableEnd, chain: writer.prev } }));
      }
    } finally {
      await this.#release();
    }
  }

  /** Also when the disk is full: who waits for the log, or for its directory, must not wait for ever. */
  async #release(): Promise<void> {
    const { writer, files, lock, commits } = this.#parts;
    this.#state = this.#state === "closing" ? "closed" : this.#state;
    commits.fire();
    await files.close();
    await writer.active.file.close();
    await lock.release();
  }
}

async function* eventsOf(
  batches: AsyncIterable<{ readonly events: readonly RecordedEvent[] }>,
): AsyncGenerator<readonly RecordedEvent[]> {
  for await (const { events } of batches) if (events.length > 0) yield events;
}

async function* limited(
  batches: AsyncIterable<readonly RecordedEvent[]>,
  limit: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly RecordedEvent[]> {
  let left = limit;
  if (left <= 0) return;
  for await (const events of batches) {
    yield events.length <= left ? events : events.slice(0, left);
    left -= events.length;
    if (left <= 0) return;
  }
}
