/** A feed that runs, and what it handed over. */
import { type ErrorReport, type Feed, type FeedReceipt, type Json, reportOf } from "@millrace/engine";
import { expect, vi } from "vitest";
import { WAIT } from "./running-graph.ts";

const HEARD_MS = 300;

export class ListeningFeed {
  readonly taken: Json[] = [];
  readonly receipts: FeedReceipt[] = [];
  readonly errors: (readonly [ErrorReport, Json])[] = [];
  readonly #feed: Feed;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(feed: Feed) {
    this.#feed = feed;
    this.#running = feed.run(
      {
        cursor: undefined,
        takeGroup: ({ items }) => {
          for (const { message } of items) this.taken.push(message);
        },
        take: (message, receipt = {}) => {
          this.taken.push(message);
          this.receipts.push(receipt);
        },
        reject: (error, message) => this.errors.push([reportOf(error), message]),
        lose: () => undefined,
      },
      this.#stop.signal,
    );
  }

  /** Makes the subscription that a feed makes when it listens: it is there when what `probe` sends has come. */
  static async made(feed: Feed, probe: () => Promise<void>): Promise<void> {
    const first = new ListeningFeed(feed);
    await vi.waitFor(async () => {
      await probe();
      expect(first.taken.length).toBeGreaterThan(0);
    }, WAIT);
    let settled = 0;
    // Probes that are on their way, too.
    for (let quiet = 0; quiet < 10; quiet++) {
      if (settled < first.receipts.length) quiet = 0;
      for (; settled < first.receipts.length; settled++) first.receipts[settled]?.settle?.();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await first.end();
  }

  async has(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.taken.length).toBe(count), WAIT);
  }

  /** Settles all that it has, and gives the broker the time to hear of it. */
  async settles(): Promise<void> {
    for (const { settle } of this.receipts) settle?.();
    await new Promise((resolve) => setTimeout(resolve, HEARD_MS));
  }

  /** Resolves when it is connected. */
  async isUp(): Promise<void> {
    await vi.waitFor(() => expect(this.#feed.connection().state).toBe("up"), WAIT);
  }

  /** Resolves when its connection shows a reason like this. */
  async shows(reason: RegExp): Promise<void> {
    await vi.waitFor(() => expect(this.#feed.connection().reason).toMatch(reason), WAIT);
  }

  /** Rejects with what ended it. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
