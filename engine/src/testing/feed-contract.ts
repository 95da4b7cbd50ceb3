/**
 * What every `Feed` must do that waits for receipts, and what one must that has a cursor. A connector's test calls {@link feedContract} or
 * {@link cursorFeedContract} and adds only what is peculiar to it.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Json } from "../frame/json.ts";
import type { Feed, FeedGroup, FeedReceipt } from "../source/feed.ts";
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

/** A feed that runs, and all that it handed over. */
class Listener {
  readonly taken: Taken[] = [];
  readonly groups: FeedGroup[] = [];
  readonly lost: string[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(feed: Feed, cursor?: Json) {
    this.#running = feed.run(
      {
        cursor,
        takeGroup: (group) => {
          this.groups.push(group);
          for (const item of group.items)
            this.taken.push({ message: item.message, receipt: {}, ...("error" in item ? { error: item.error } : {}) });
        },
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

  settleGroups(): void {
    for (const { settle } of this.groups) settle?.();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/** `make` makes a fresh, empty queue that somebody may send to before and after the first feed. */
export function feedContract(
  name: string,
  make: () => Promise<FeedHarness>,
  {
    jsonOnly = false,
    settlesAlone = true,
  }: {
    /** What is no JSON has no id there, so its sender cannot be told that it came. */
    readonly jsonOnly?: boolean;
    /** What is settled is not sent again. Otherwise it is, until all that was sent with it is settled, too. */
    readonly settlesAlone?: boolean;
  } = {},
): void {
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
      const from = settlesAlone ? 18 : 0;
      const second = listen(harness);
      await second.until(31 - from);
      await quiet();
      expect(second.messages).toEqual(messages(from, 31 - from));
      expect(second.taken.map(({ receipt }) => receipt.id)).toEqual(
        first.taken.slice(from).map(({ receipt }) => receipt.id),
      );
      second.settle(0, 31 - from);
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

    const rejecting = jsonOnly ? () => undefined : test;
    rejecting(
      "rejects what is no JSON with place and reason, between its neighbours, and settles it like them",
      async () => {
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
      },
    );

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

/** `make` makes a fresh, empty queue. What a feed hands over with a cursor is settled at once unless a test says otherwise. */
export function cursorFeedContract(
  name: string,
  make: () => Promise<CursorFeedHarness>,
  /** There, a body is always a message. */
  { jsonOnly = false }: { readonly jsonOnly?: boolean } = {},
): void {
  const ending: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  const queue = async (): Promise<CursorFeedHarness> => {
    const harness = await make();
    ending.push(() => harness.close());
    return harness;
  };
  const listen = (harness: CursorFeedHarness, cursor?: Json): Listener => {
    const listener = new Listener(harness.connect(), cursor);
    ending.push(() => listener.stop());
    return listener;
  };
  const settling = async (listener: Listener, count: number): Promise<void> => {
    await vi.waitFor(() => {
      listener.settleGroups();
      expect(listener.taken.length).toBeGreaterThanOrEqual(count);
    }, WAIT);
  };

  describe(`${name} is a feed with a cursor`, () => {
    test("hands over what was sent, in order, before and while it listens", async () => {
      const harness = await queue();
      await harness.send(bodies(0, 20));
      const listener = listen(harness);
      await settling(listener, 20);
      await harness.send(bodies(20, 20));
      await settling(listener, 40);
      expect(listener.messages).toEqual(messages(0, 40));
      expect(listener.lost).toEqual([]);
    });

    test("goes on behind whichever cursor was durable, and repeats nothing before it", async () => {
      const harness = await queue();
      await harness.send(bodies(0, 10));
      const first = listen(harness);
      await settling(first, 10);
      await harness.send(bodies(10, 10));
      await settling(first, 20);
      await first.stop();
      await harness.send(bodies(20, 5));
      let before = 0;
      for (const { items, cursor } of first.groups) {
        before += items.length;
        const later = listen(harness, structuredClone(cursor));
        await settling(later, 25 - before);
        await quiet();
        expect(later.messages).toEqual(messages(before, 25 - before));
        await later.stop();
      }
    });

    test("repeats nothing, and leaves nothing out, when its connection breaks", async () => {
      const harness = await queue();
      const listener = listen(harness);
      for (let round = 0; round < 4; round++) {
        await harness.send(bodies(round * 10, 10));
        if (round < 3) harness.breakConnections?.();
        await settling(listener, (round + 1) * 10);
      }
      expect(listener.messages).toEqual(messages(0, 40));
    });

    const rejecting = jsonOnly ? () => undefined : test;
    rejecting("rejects what is no JSON with place and reason, between its neighbours", async () => {
      const harness = await queue();
      await harness.send(['{"id":0}', "{", '{"id":1}']);
      const listener = listen(harness);
      await settling(listener, 3);
      expect(listener.taken).toMatchObject([
        { message: { id: 0 } },
        {
          message: "{",
          error: { code: "MSG-DECODE", kind: "rejected", place: { stream: expect.stringMatching(/./) } },
        },
        { message: { id: 1 } },
      ]);
    });

    test("shows its connection, ends when it is told to, and settling after that does no harm", async () => {
      const harness = await queue();
      const feed = harness.connect();
      expect(feed.connection().state).toBe("idle");
      const listener = new Listener(feed);
      await vi.waitFor(() => expect(feed.connection().state).toBe("up"), WAIT);
      await harness.send(bodies(0, 3));
      await listener.until(3);
      await listener.stop();
      listener.settleGroups();
      expect(feed.connection().state).toBe("idle");
    });
  });
}

/** Time in which nothing more may come. Too short, it would let a fault pass, never fail a run that is right. */
const quiet = (): Promise<void> => sleep(systemEnv(), QUIET_MS, new AbortController().signal);

const messages = (from: number, n: number): Json[] =>
  Array.from({ length: n }, (_, i) => ({ id: from + i, name: `név "${from + i}"` }));
const bodies = (from: number, n: number): string[] => messages(from, n).map((message) => JSON.stringify(message));
