/** What every `Feed` must do that waits for receipts. A connector's test calls {@link feedContract} and adds only what is peculiar to it. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Json } from "../frame/json.ts";
import type { Feed, FeedReceipt } from "../source/feed.ts";
import { sleep } from "../time/clock.ts";
import { systemEnv } from "../time/system-env.ts";

/** One queue, however many feeds come and go in front of it. */
export interface FeedHarness {
  /** A new feed in front of the same queue, as a new incarnation of a node makes it. It may hold so many unsettled. */
  connect(unsettledMax: number): Feed;
  /** Puts bodies into the queue, in order; resolves when they are safe there. */
  send(bodies: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

interface Taken {
  readonly message: Json;
  readonly error?: unknown;
  readonly receipt: FeedReceipt;
}

const WAIT = { timeout: 20_000, interval: 5 };
const QUIET_MS = 150;

/** A feed that runs, and all that it handed over. */
class Listener {
  readonly taken: Taken[] = [];
  readonly lost: string[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(feed: Feed) {
    this.#running = feed.run(
      {
        take: (message, receipt = {}) => this.taken.push({ message, receipt }),
        reject: (error, message, receipt = {}) => this.taken.push({ message, error, receipt }),
        lose: (count, reason) => this.lost.push(`${count} ${reason}`),
      },
      this.#stop.signal,
    );
  }

  get messages(): readonly Json[] {
    return this.taken.map(({ message }) => message);
  }

  async until(count: number): Promise<void> {
    await vi.waitFor(() => expect(this.taken.length).toBeGreaterThanOrEqual(count), WAIT);
  }

  settle(from: number, to: number): void {
    for (const { receipt } of this.taken.slice(from, to)) receipt.settle?.();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/** `make` makes a fresh, empty queue that somebody may send to before and after the first feed. */
export function feedContract(name: string, make: () => Promise<FeedHarness>): void {
  const opened: FeedHarness[] = [];
  const listeners: Listener[] = [];
  afterEach(async () => {
    for (const listener of listeners.splice(0)) await listener.stop();
    for (const harness of opened.splice(0)) await harness.close();
  });
  const queue = async (): Promise<FeedHarness> => {
    const harness = await make();
    opened.push(harness);
    return harness;
  };
  const listen = (harness: FeedHarness, unsettledMax = 100): Listener => {
    const listener = new Listener(harness.connect(unsettledMax));
    listeners.push(listener);
    return listener;
  };

  describe(`${name} is a feed that waits`, () => {
    test("hands over what was sent, in order, before and while it listens", async () => {
      const harness = await queue();
      await harness.send(bodies(0, 20));
      const listener = listen(harness);
      await listener.until(20);
      await harness.send(bodies(20, 20));
      await listener.until(40);
      expect(listener.messages).toEqual(messages(0, 40));
      expect(listener.lost).toEqual([]);
    });

    test("sends again what was not settled, and only that", async () => {
      const harness = await queue();
      await harness.send(bodies(0, 30));
      const first = listen(harness);
      await first.until(30);
      first.settle(0, 18);
      await harness.send(bodies(30, 1));
      await first.until(31);
      await quiet();
      await first.stop();
      const second = listen(harness);
      await second.until(13);
      await quiet();
      expect(second.messages).toEqual(messages(18, 13));
      expect(second.taken.map(({ receipt }) => receipt.id)).toEqual(
        first.taken.slice(18).map(({ receipt }) => receipt.id),
      );
      second.settle(0, 13);
      await quiet();
      await second.stop();
      const third = listen(harness);
      await harness.send(bodies(31, 1));
      await third.until(1);
      expect(third.messages).toEqual(messages(31, 1));
    });

    test("holds no more unsettled than it was told to", async () => {
      const harness = await queue();
      await harness.send(bodies(0, 50));
      const listener = listen(harness, 10);
      await listener.until(10);
      await quiet();
      expect(listener.taken.length).toBe(10);
      for (let settled = 0; settled < 50; settled += 10) {
        await listener.until(settled + 10);
        listener.settle(settled, settled + 10);
      }
      expect(listener.messages).toEqual(messages(0, 50));
    });

    test("rejects what is no JSON with place and reason, between its neighbours, and settles it like them", async () => {
      const harness = await queue();
      await harness.send(['{"id":0}', "{", '{"id":1}']);
      const first = listen(harness);
      await first.until(3);
      expect(first.taken).toMatchObject([
        { message: { id: 0 } },
        {
          message: "{",
          error: { code: "MSG-DECODE", kind: "rejected", place: { stream: expect.stringMatching(/./) } },
        },
        { message: { id: 1 } },
      ]);
      first.settle(0, 3);
      await quiet();
      await first.stop();
      await harness.send(['{"id":2}']);
      const second = listen(harness);
      await second.until(1);
      expect(second.messages).toEqual([{ id: 2 }]);
    });

    test("shows its connection, ends when it is told to, and settling after that does no harm", async () => {
      const harness = await queue();
      const feed = harness.connect(10);
      expect(feed.connection().state).toBe("idle");
      const listener = new Listener(feed);
      await vi.waitFor(() => expect(feed.connection().state).toBe("up"), WAIT);
      await harness.send(bodies(0, 3));
      await listener.until(3);
      await listener.stop();
      listener.settle(0, 3);
      expect(feed.connection().state).toBe("idle");
    });
  });
}

/** Time in which nothing more may come. Too short, it would let a fault pass, never fail a run that is right. */
const quiet = (): Promise<void> => sleep(systemEnv(), QUIET_MS, new AbortController().signal);

const messages = (from: number, n: number): Json[] =>
  Array.from({ length: n }, (_, i) => ({ id: from + i, name: `név "${from + i}"` }));
const bodies = (from: number, n: number): string[] => messages(from, n).map((message) => JSON.stringify(message));
