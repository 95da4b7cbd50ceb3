/** What a connector's test puts in front of the suites for feeds. */
import type { Feed } from "../../source/feed.ts";

/** One queue, however many feeds come and go in front of it. */
export interface FeedHarness {
  /** A new feed in front of the same queue, as a new incarnation of a node makes it. It may hold so many unsettled. */
  connect(unsettledMax: number): Feed;
  /** Puts bodies into the queue, in order; resolves when they are safe there. */
  send(bodies: readonly string[]): Promise<void>;
  /** Breaks what feeds hold now; they may come back at once. Absent: there is nothing that could be broken. */
  breakConnections?(): void;
  close(): Promise<void>;
}

/** A queue that can be read again from any place. */
export interface CursorFeedHarness {
  /** A new feed in front of the same queue, as a new incarnation of a node makes it. */
  connect(): Feed;
  /** Puts bodies into the queue, in order; resolves when they are there to be read. */
  send(bodies: readonly string[]): Promise<void>;
  /** Breaks what feeds hold now; they may come back at once. Absent: there is nothing that could be broken. */
  breakConnections?(): void;
  close(): Promise<void>;
}
