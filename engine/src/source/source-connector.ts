/**
 * A place that messages are read from, and read again after a crash: file, topic, stream. It is an origin: its positions are
 * its own offsets and nothing is logged for it (DESIGN §3). What cannot be read again (HTTP push, ticks, telemetry) is not a
 * source connector but a committed behavior that first appends and then emits.
 */
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Batch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import type { Positions } from "../frame/positions.ts";

/** What a source can do; checked against what the graph asks when it is built. The contract suite proves each. */
export interface SourceCapabilities {
  /** The same positions give the same messages again. */
  readonly replay: boolean;
  /** Positions ascend and are never given out of order within a partition. */
  readonly ordered: boolean;
  /** The source has an end; after it, `read` answers `"end"`. */
  readonly bounded: boolean;
  /** What was read can be handed back, and comes again from the source itself. Default false: it is read again by position. */
  readonly nack?: boolean;
}

/** Input that is not a message: it becomes a dead letter at its position, with the place and reason in `error`. */
export interface RejectedInput {
  readonly pos: number;
  readonly error: unknown;
  /** The raw input as far as it can be shown, at most 4 KiB of it. */
  readonly input: Json | undefined;
}

/**
 * Where a stretch of positions lies in what is read, for a source that is made of many things (objects of a bucket): a position alone
 * would not tell in which of them it is. A mark is logged before anything at or above it is sent.
 */
export interface SourceMark {
  /** The first position that lies at the place. */
  readonly from: number;
  /** Plain data, a few hundred bytes. */
  readonly place: Json;
}

export interface SourceBatch {
  /** Marks that no earlier batch had and that were not given to {@link SourceConnector.open}, ascending. Default none. */
  readonly marks?: readonly SourceMark[];
  readonly batch: Batch;
  readonly positions: Positions;
  /** Everything up to this offset is in this batch, in an earlier one, or rejected. At least the last position. */
  readonly through: number;
  /** In `pos` order; not in `batch`. */
  readonly rejected: readonly RejectedInput[];
}

export interface SourceReader {
  /**
   * The next messages, at most `messagesMax`, in position order. Resolves with `"idle"` when the source was polled and has
   * nothing now (the reader waits a moment of its own before it says so), `"end"` when there will never be more.
   *
   * @throws SOURCE-MISSING, SOURCE-FAILED (transient): the caller reopens with back-off at its cursor
   */
  read(messagesMax: number): Promise<SourceBatch | "idle" | "end">;
  /** Ends a `read` in progress with `"idle"` and releases everything. */
  close(): Promise<void>;
  /**
   * What the positions count, as far as it is known after a `read`: the same for as long as position 7 is the same message.
   * It is logged, and another one at a later opening is SOURCE-RECREATED. Absent: nobody can tell.
   */
  readonly identity?: string | undefined;
}

export interface SourceConnector {
  readonly capabilities: SourceCapabilities;
  /** The connection that partitions are read over, for whoever wants to see it; absent where there is none. */
  connection?(): ConnectionStatus;
  /** Stable names; each is an origin with positions of its own. */
  partitions(): Promise<readonly string[]>;
  /**
   * Starts just after offset `after`; -1 is the beginning. `marks` are those that were logged of the place of the position behind
   * `after` and of everything above it, ascending.
   */
  open(partition: string, after: number, marks?: readonly SourceMark[]): Promise<SourceReader>;
}
