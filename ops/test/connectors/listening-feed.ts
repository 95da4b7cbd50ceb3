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

  /** Makes the subscription that a feed makes when it listens: it is there when what is sent has come. */
  static async made(feed: Feed, send: (body: string) => Promise<void>): Promise<void> {
    const first = new ListeningFeed(feed);
    let sent = 0;
    await vi.waitFor(async () => {
      await send(String(++sent));
      expect(first.taken.length).toBeGreaterThan(0);
    }, WAIT);
    // They come in the order in which they were sent: none is left for who listens next.
    await vi.waitFor(() => expect(first.taken.at(-1)).toBe(sent), WAIT);
    await first.settles();
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
