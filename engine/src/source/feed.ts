/**
 * Something that sends messages of its own accord and cannot be read again. What is taken from it is first appended. A feed that
 * can be told when that is done (a queue that waits for acknowledgements) loses nothing: what is not acknowledged comes again.
 * One that can be asked for what follows (a page after this one, events after this id) keeps its cursor beside what was taken.
 * One that can do neither (a live subject) also cannot be slowed: what comes faster than it can be appended is shed, counted and shown.
 */
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Json } from "../frame/json.ts";

/** What a feed may say of a message. */
export interface FeedReceipt {
  /** The sender's own id of the message: a second one with it changes nothing, also after a restart. */
  readonly id?: string;
  /**
   * Called once the message, or its dead letter, is durable; never when the node ends before. A message with it is never shed, so the
   * feed itself must bound how many are not yet settled. Must not throw.
   */
  readonly settle?: () => void;
}

/** One of several messages that belong together. */
export interface FeedItem {
  /** The message, or as much as can be shown of what is none. */
  readonly message: Json;
  /** The sender's own id of it, as in a {@link FeedReceipt}. */
  readonly id?: string | undefined;
  /** Why it is no message. */
  readonly error?: unknown;
}

/**
 * What becomes durable in one step, or not at all; what is more than the log takes at once, in several, the cursor with the last of them. Given
 * again from the cursor before it, with the same items, it is taken once all the same. No items: only the cursor moves.
 */
export interface FeedGroup {
  readonly items: readonly FeedItem[];
  /** Where the feed goes on after these; the newest that is durable is what the next {@link Feed.run} is given. Plain data, a few hundred bytes. */
  readonly cursor: Json;
  /** As that of a {@link FeedReceipt}; a group is never shed. */
  readonly settle?: () => void;
}

/** Where a feed puts what it gets. Nothing here throws or waits. */
export interface FeedIntake {
  /** The newest durable cursor when the feed was run; `undefined` when there never was one. */
  readonly cursor: Json | undefined;
  take(message: Json, receipt?: FeedReceipt): void;
  /** Messages with the place that they bring the feed to, all in one step: after a crash it goes on exactly behind what is in the log. */
  takeGroup(group: FeedGroup): void;
  /** What is no message becomes a dead letter, with the place and reason in `error` and as much of `input` as can be shown. */
  reject(error: unknown, input: Json, receipt?: FeedReceipt): void;
  /** Counts messages that the feed got and that are of no use to anybody, not even as dead letters. */
  lose(count: number, reason: string): void;
}

/** What a feed can do beside handing over what comes. The contract suite proves each. */
export interface FeedCapabilities {
  /** It goes on behind a cursor that was kept beside the messages. */
  readonly resume?: boolean;
  /** Messages come in the order in which they were sent, as long as nothing comes again. */
  readonly ordered?: boolean;
  /** What is not settled holds back what follows, which waits at the sender's: nothing is shed. */
  readonly pause?: boolean;
  /** What was not settled when a connection or a process ended comes again. */
  readonly nack?: boolean;
}

export interface Feed {
  /** Absent: nothing of it, and what comes too fast is lost. */
  readonly capabilities?: FeedCapabilities;
  /**
   * Hands over messages until `signal` aborts, over connections that it makes again by itself. Resolves before only where the feed has an
   * end, once everything was settled; rejects with what making them again does not cure, such as SOURCE-GAP.
   */
  run(intake: FeedIntake, signal: AbortSignal): Promise<void>;
  connection(): ConnectionStatus;
}
