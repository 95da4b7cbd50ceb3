/**
 * The log: the truth that everything else is a projection of (DESIGN §4). One dense integer position without gaps over all
 * streams, one dense revision per stream, appends atomic over several streams, idempotent by event id.
 *
 * Implementations: memory, embedded and EventStoreDB (`streams`). All pass `eventLogContract` of `engine/testing`.
 */
import type { EventLists } from "./event-list.ts";

/** What a stream's head must be for an append to happen. A number is the exact revision of the last event. */
export type ExpectedRevision = "any" | "none" | "exists" | number;

/** Who and what an event is about. Every field is in the record from the first commit; it cannot be added later. */
export interface EventContext {
  /** 16 bytes. The id of whatever this event is a consequence of; its own id when it is the first. */
  readonly causationId: Uint8Array;
  /** 16 bytes. Shared by everything that follows from one cause. */
  readonly correlationId: Uint8Array;
  /** Who: a user, a token, or `system`. */
  readonly principal: string;
  readonly tenant: string;
  /** Version of the code that produced the event. */
  readonly codeVersion: string;
  /** Empty when the event belongs to no graph. */
  readonly graph: string;
  readonly graphRevision: number;
  readonly node: string;
  /** Owner epoch of the writing actor. */
  readonly epoch: number;
}

export interface EventInput {
  /** 16 bytes, unique. A retry of the same append carries the same ids. */
  readonly id: Uint8Array;
  readonly type: string;
  /** Version of the payload's schema, `0..65535`. */
  readonly schemaVersion: number;
  readonly context: EventContext;
  /** Opaque to the log. At most {@link EventLog.appendBytesMax} with the rest of its append. */
  readonly payload: Uint8Array;
}

export interface StreamAppend {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly EventInput[];
}

/**
 * What must not have happened for an append to happen: a boundary of consistency that is drawn by what a decision has read, over as many
 * streams as it likes, instead of by one stream's revision.
 */
export interface AppendCondition {
  /** No event that passes one of these may stand after {@link after}. */
  readonly none: readonly EventFilter[];
  /** Position of the last event that the decision knew of, -1 when it knew of none. */
  readonly after: number;
}

export interface AppendResult {
  /** Position of the last event of the append. */
  readonly position: number;
  /** Position of the first. */
  readonly firstPosition: number;
  /** Revision of the last event per stream, in the order of the request. */
  readonly revisions: readonly number[];
  /** True when the append had already happened (same ids at the same place): nothing was written. */
  readonly repeated: boolean;
}

/** An event as it stands in the log. Fields may decode lazily: read what you need, keep nothing across `await`s that you did not copy. */
export interface RecordedEvent extends EventInput {
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  /** Milliseconds since 1970 when the log accepted it; never falling with position. */
  readonly timeMs: number;
}

/** What is known of the last event of a stream when the event itself was pruned. */
export interface PrunedEnd {
  readonly revision: number;
  readonly type: string;
  readonly schemaVersion: number;
}

/** What a prune keeps of the events of a stream that went, because whoever reads the stream still needs it. */
export interface CarriedStream {
  /** Of the last event that went. */
  readonly revision: number;
  /** Events of them that still count, as they were, by revision. */
  readonly events: readonly RecordedEvent[];
  /** What all of them add up to, in the encoding of whoever folds the stream; `undefined` where nobody does. */
  readonly state: Uint8Array | undefined;
}

export interface ReadOptions {
  /** First position (or revision) to read. Forward default 0; backward default the end. Inclusive. */
  readonly from?: number;
  readonly direction?: "forward" | "backward";
  /** Most events to return; default no limit. */
  readonly limit?: number;
  readonly filter?: EventFilter;
}

/** All given conditions must hold. */
export interface EventFilter {
  readonly streamPrefix?: string;
  readonly types?: readonly string[];
  readonly graph?: string;
  readonly node?: string;
  readonly correlationId?: Uint8Array;
  /** Of the event's stream; see `categoryOf`. */
  readonly category?: string;
  /** Only the first event of each stream. */
  readonly starts?: true;
  /** The event has all of these; see `tagsOf`. */
  readonly tags?: readonly string[];
}

export interface SubscribeOptions {
  /** First position delivered; default 0. */
  readonly from?: number;
  readonly filter?: EventFilter;
  /** Ends the subscription when it aborts. */
  readonly signal: AbortSignal;
}

/** Events in position order; `end` is the position up to which everything that passes the filter has been delivered, exclusive. */
export interface SubscriptionBatch {
  readonly events: readonly RecordedEvent[];
  readonly end: number;
  /** True when `end` was the log's durable end as the batch was made. */
  readonly live: boolean;
}

export interface EventLog {
  /** 32 hex digits, made when the log was created; another log has another. */
  readonly id: string;
  /** Largest append in bytes, headers included. */
  readonly appendBytesMax: number;
  /** Position after the last durable event: what readers may see (L-R21). */
  readonly durableEnd: number;
  /** First position that can be read; absent: 0. What is below was pruned, and reading it is LOG-PRUNED. */
  readonly base?: number;
  /**
   * How many appends to one stream a writer may have under way at once; absent: any number. 1 for a log whose requests travel
   * one by one: if the first of two were lost, another owner's event could take its place and let the second meet its expected
   * revision, which would then fence nobody (R26).
   */
  readonly appendsAheadMax?: number;
  /** Numbered lists of events across streams; absent: this log keeps none. */
  readonly lists?: EventLists;

  /**
   * Appends all or nothing and resolves once it is durable. Appends of one caller to one stream are applied in call order.
   *
   * @throws LOG-WRONG-REVISION a stream's head is not as expected; `details` has stream, expected and actual
   * @throws LOG-FULL no space is prepared; nothing was written, no position used; retry later
   * @throws LOG-TOO-LARGE the append exceeds {@link appendBytesMax}
   * @throws LOG-ONE-STREAM the append names several streams, and the log is one that cannot append to them at once
   * @throws LOG-UNKNOWN the outcome is not known: retry the same ids, or read the stream and fold (R17)
   * @throws LOG-CLOSED the log was closed or its writer stopped
   */
  append(appends: readonly StreamAppend[]): Promise<AppendResult>;

  /**
   * As {@link append}, if the condition holds; absent: this log takes none. A retry of the same ids is recognised where one of
   * the events passes a filter of its own condition, and where `append` recognises it.
   *
   * @throws LOG-CONDITION an event breaks the condition; `details.position` is the first that does, `details` has stream and type
   * @throws LOG-PRUNED the condition reaches below what can be read
   */
  appendIf?(condition: AppendCondition, appends: readonly StreamAppend[]): Promise<AppendResult>;

  /** Events of all streams by position, in batches of the implementation's choice. Sees the durable end at the call. */
  read(options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]>;

  /** Events of one stream by revision; an unknown stream is empty. `from` is a revision. */
  readStream(stream: string, options?: ReadOptions): AsyncIterable<readonly RecordedEvent[]>;

  /** Revision of the last durable event of a stream, -1 when there is none. */
  head(stream: string): Promise<number>;

  /**
   * The end of a stream whose last event was pruned; nothing while that can be read. The last event of a stream of metadata
   * (`$$…`) can always be read. Absent: this log prunes nothing.
   */
  prunedEnd?(stream: string): Promise<PrunedEnd | undefined>;

  /**
   * What the last prune carried of a stream: with what can be read it is as good as the whole stream. Nothing of a stream that it took
   * nothing of. Absent: this log prunes nothing.
   *
   * @throws LOG-MANIFEST it is missing or damaged
   */
  carried?(stream: string): Promise<CarriedStream | undefined>;

  /** Catch-up, then live: every event from `from` on, once, in order. A slow consumer is not buffered for: it reads from the log. */
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionBatch>;

  /** Waits for appends in flight, then releases everything. Further calls fail with LOG-CLOSED. */
  close(): Promise<void>;
}
