/**
 * Something that sends messages of its own accord and cannot be read again. What is taken from it is first appended. A feed that
 * can be told when that is done (a queue that waits for acknowledgements) loses nothing: what is not acknowledged comes again.
 * One that cannot (a live subject) also cannot be slowed: what comes faster than it can be appended is shed, counted and shown.
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

/** Where a feed puts what it gets. Nothing here throws or waits. */
export interface FeedIntake {
  take(message: Json, receipt?: FeedReceipt): void;
  /** What is no message becomes a dead letter, with the place and reason in `error` and as much of `input` as can be shown. */
  reject(error: unknown, input: Json, receipt?: FeedReceipt): void;
  /** Counts messages that the feed got and that are of no use to anybody, not even as dead letters. */
  lose(count: number, reason: string): void;
}

export interface Feed {
  /** Hands over messages until `signal` aborts, over connections that it makes again by itself. */
  run(intake: FeedIntake, signal: AbortSignal): Promise<void>;
  connection(): ConnectionStatus;
}
