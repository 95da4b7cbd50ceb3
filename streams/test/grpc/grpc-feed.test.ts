/** Methods as feeds: what is read, where it goes on, and what a call that fails means. */
import { status } from "@grpc/grpc-js";
import { type Feed, type FeedGroup, type FeedReceipt, type Json, type JsonObject, systemEnv } from "@millrace/engine";
import { cursorFeedContract, feedContract } from "@millrace/engine/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type GrpcFeedOptions, grpcFeed } from "../../src/grpc/mod.ts";
import { type BoxMethod, boxMethod, GrpcBox, type HeldTime, heldTime, serve } from "./grpc-box.ts";

const env = systemEnv();
const WAIT = { timeout: 45_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50, probeEveryMs: 20 };
const CURSOR = { field: "id", request: "after" };

function feedOf(box: GrpcBox, method: BoxMethod, options: Partial<GrpcFeedOptions> = {}, by = env): Feed {
  const address = box.address(method, "source");
  return grpcFeed(address, by, { method: boxMethod(method), channel: {}, policy: QUICK, everyMs: 10, ...options })();
}

const item = (id: number, more: JsonObject = {}): JsonObject => ({ id, name: `név ${id}`, ...more });
const items = (from: number, n: number): JsonObject[] => Array.from({ length: n }, (_, i) => item(from + i));

for (const [name, method, options] of [
  ["a stream of answers", "Follow", { cursor: CURSOR }],
  ["pages", "List", { cursor: CURSOR, items: "items" }],
] as const)
  cursorFeedContract(
    name,
    async () => {
      const box = await GrpcBox.start();
      return {
        connect: () => feedOf(box, method, options),
        send: async (bodies) => box.offer(bodies.map((body) => JSON.parse(body) as JsonObject)),
        breakConnections() {
          box.breakCalls();
          if (method === "List") box.failures.push({ code: status.UNAVAILABLE });
        },
        close: () => box.close(),
      };
    },
    // A page of 7 waits to be settled before the next is asked for.
    { jsonOnly: true, ...(method === "List" ? { unsettledMax: 21 } : {}) },
  );

feedContract(
  "a stream of answers without a cursor",
  async () => {
    const box = await GrpcBox.start();
    return {
      connect: () => feedOf(box, "Follow"),
      // What was offered before it is called comes, too.
      send: async (bodies) => box.offer(bodies.map((body) => JSON.parse(body) as JsonObject)),
      breakConnections: () => box.breakCalls(),
      close: () => box.close(),
    };
  },
  { jsonOnly: true, isFlat: true, holdsBackAt: 1000 },
);

/** A feed that runs. */
class Running {
  readonly groups: FeedGroup[] = [];
  readonly taken: { readonly message: Json; readonly error?: unknown; readonly receipt: FeedReceipt }[] = [];
  readonly feed: Feed;
  readonly done: Promise<void>;
  readonly #stop = new AbortController();

  constructor(feed: Feed, settles = true) {
    this.feed = feed;
    const take = (message: Json, receipt: FeedReceipt = {}, error?: unknown): void => {
      this.taken.push({ message, receipt, ...(error === undefined ? {} : { error }) });
      if (settles) receipt.settle?.();
    };
    this.done = feed.run(
      {
        cursor: undefined,
        takeGroup: (group) => {
          this.groups.push(group);
          for (const { message, error, id } of group.items) take(message, id === undefined ? {} : { id }, error);
          if (settles) group.settle?.();
        },
        take,
        reject: (error, message, receipt) => take(message, receipt, error),
        lose: () => undefined,
      },
      this.#stop.signal,
    );
    this.done.catch(() => undefined);
    onTestFinished(async () => {
      this.#stop.abort();
      await this.done.catch(() => undefined);
    });
  }

  get messages(): readonly Json[] {
    return this.taken.map(({ message }) => message);
  }

  settle(): void {
    for (const { settle } of this.groups.splice(0)) settle?.();
  }
}

const EVERY_MS = 100_000;

/** A list that is read every {@link EVERY_MS} of a time that the test moves. */
function listing(
  box: GrpcBox,
  options: Partial<GrpcFeedOptions>,
): { readonly running: Running; readonly time: HeldTime & { isWaiting(times: number): Promise<void> } } {
  const time = heldTime();
  // Probes ask nothing of the service.
  const policy = { ...QUICK, probeEveryMs: 10 * EVERY_MS };
  const how = { items: "items", cursor: CURSOR, everyMs: EVERY_MS, policy, ...options };
  const isWaiting = (times: number): Promise<void> =>
    vi.waitFor(() => expect(time.waits.filter((ms) => ms === EVERY_MS)).toHaveLength(times), WAIT);
  return { running: new Running(feedOf(box, "List", how, time.env)), time: { ...time, isWaiting } };
}

describe("a method that is read", () => {
  test("an answer that is no such message is a dead letter with place and reason, between its neighbours", async () => {
    const box = await serve();
    // A field of bytes that is longer than the message.
    const broken = Buffer.from([0x12, 0x7f, 0x41]);
    box.offer([item(1), broken, item(2)]);
    const { taken } = new Running(feedOf(box, "Follow", { cursor: CURSOR }));
    await vi.waitFor(() => expect(taken).toHaveLength(3), WAIT);
    expect(taken).toMatchObject([
      { message: item(1) },
      {
        message: { base64: broken.toString("base64") },
        error: { code: "MSG-DECODE", place: { stream: expect.stringMatching(/^grpc:.*\/test.Box\/Follow$/) } },
      },
      { message: item(2) },
    ]);
  });

  test("without a cursor messages are taken by themselves, with the id that they say, and answers in lists one by one", async () => {
    const box = await serve();
    box.offer(items(0, 3));
    const followed = new Running(feedOf(box, "Follow", { id: "id" }));
    await vi.waitFor(() => expect(followed.messages).toEqual(items(0, 3)), WAIT);
    expect(followed.taken.map(({ receipt }) => receipt.id)).toEqual(["0", "1", "2"]);
    expect(followed.groups).toEqual([]);
    const listed = new Running(feedOf(box, "List", { items: "items", everyMs: 100_000 }));
    await vi.waitFor(() => expect(listed.messages).toEqual(items(0, 3)), WAIT);
  });

  test("a list that is empty is asked for again after a while, and not at once", async () => {
    const box = await serve();
    const { time, running } = listing(box, {});
    await time.isWaiting(1);
    expect(box.asked).toEqual([{}]);
    box.offer(items(0, 1));
    await time.advance(EVERY_MS - 1);
    expect(box.asked).toEqual([{}]);
    await time.advance(1);
    await vi.waitFor(() => expect(running.messages).toEqual(items(0, 1)), WAIT);
  });

  test("a list is not asked for sooner because the connection is another one", async () => {
    const box = await serve();
    const { time, running } = listing(box, {});
    await time.isWaiting(1);
    await time.advance(1000);
    await box.close();
    await box.start();
    await vi.waitFor(async () => {
      await time.advance(10);
      expect(running.feed.connection()).toMatchObject({ state: "up", connects: 2 });
    }, WAIT);
    const again = (): readonly number[] => time.waits.filter((ms) => ms > EVERY_MS / 2 && ms <= EVERY_MS);
    await vi.waitFor(() => expect(again()).toHaveLength(2), WAIT);
    expect(box.asked).toEqual([{}]);
    await time.advance(EVERY_MS);
    await vi.waitFor(() => expect(box.asked).toEqual([{}, {}]), WAIT);
  });

  test("what a page without messages says of a cursor is a default, and leads nowhere", async () => {
    const box = await serve();
    box.offer(items(0, 3));
    const { time, running } = listing(box, { cursor: { field: "$.upto", request: "after" } });
    await time.isWaiting(1);
    expect(box.asked).toEqual([{}, { after: 2 }]);
    box.offer(items(3, 2));
    await time.advance(EVERY_MS);
    await time.isWaiting(2);
    expect(box.asked.slice(2)).toEqual([{ after: 2 }, { after: 4 }]);
    expect(running.messages).toEqual(items(0, 5));
  });

  test("a service that gives the last message again and again is not asked at once", async () => {
    const box = await serve();
    box.isInclusive = true;
    box.offer(items(0, 3));
    const { time } = listing(box, {});
    await time.isWaiting(1);
    expect(box.asked).toEqual([{}, { after: 2 }]);
  });

  test("a page with messages whose cursor is an empty text ends the feed, and none of it is taken", async () => {
    const box = await serve();
    box.offer(items(0, 3));
    const { running } = listing(box, { cursor: { field: "$.next", request: "token" } });
    await expect(running.done).rejects.toMatchObject({ code: "GRPC-CURSOR", kind: "terminal" });
    expect(running.messages).toEqual([]);
  });

  test("a message without the cursor ends the feed, and is not taken", async () => {
    const box = await serve();
    box.offer([item(1, { amount: 1 }), item(2)]);
    const wrong = new Running(feedOf(box, "List", { items: "items", cursor: { field: "$.last", request: "after" } }));
    await expect(wrong.done).rejects.toMatchObject({ code: "GRPC-CURSOR", kind: "terminal" });
    expect(wrong.messages).toEqual([]);
  });

  test("what a stream says right behind a message without the cursor is not taken before it", async () => {
    const box = await serve();
    box.offer([...items(0, 1000), item(1000, { name: "" }), ...items(1001, 20)]);
    const running = new Running(feedOf(box, "Follow", { cursor: { field: "name", request: "token" } }), false);
    await vi.waitFor(() => expect(running.messages).toHaveLength(1000), WAIT);
    // What is held back comes together.
    running.settle();
    await expect(running.done).rejects.toMatchObject({ code: "GRPC-CURSOR" });
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(running.messages).toHaveLength(1000);
  });

  test("with until=end the feed ends with the stream, once everything is durable", async () => {
    const box = await serve();
    box.ends = true;
    box.offer(items(0, 5));
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR, untilEnd: true }), false);
    await vi.waitFor(() => expect(running.messages).toHaveLength(5), WAIT);
    let isDone = false;
    void running.done.then(() => {
      isDone = true;
    });
    await new Promise(setImmediate);
    expect(isDone).toBe(false);
    running.settle();
    await running.done;
    expect(box.asked).toHaveLength(1);
  });

  test("what is not durable yet holds the stream back, and nothing is lost", async () => {
    const box = await serve();
    const filling = Buffer.alloc(48 * 1024).toString("base64");
    const all = Array.from({ length: 1200 }, (_, id) => item(id, { filling }));
    box.offer(all);
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }), false);
    // 16 MiB are 341 of these; what lies in sockets and windows comes on top.
    await vi.waitFor(() => expect(running.messages.length).toBeGreaterThanOrEqual(342), WAIT);
    let before = -1;
    await vi.waitFor(
      () => {
        const same = before === box.written;
        before = box.written;
        expect(same).toBe(true);
      },
      { ...WAIT, interval: 200 },
    );
    expect(running.messages.length).toBeLessThan(400);
    expect(box.written).toBeLessThan(1000);
    await vi.waitFor(() => {
      running.settle();
      expect(running.messages.length).toBe(1200);
    }, WAIT);
    expect(running.messages.map((message) => (message as JsonObject).id)).toEqual(all.map(({ id }) => id));
  });

  test("a stream without a message for too long is called again behind the last one", async () => {
    const box = await serve();
    box.offer(items(0, 2));
    const time = heldTime();
    const policy = { ...QUICK, probeEveryMs: 100_000 };
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR, silenceMs: 10_000, policy }, time.env));
    await vi.waitFor(() => expect(running.messages).toHaveLength(2), WAIT);
    expect(box.asked).toEqual([{}]);
    await vi.waitFor(async () => {
      await time.advance(1000);
      expect(box.asked.length).toBeGreaterThan(2);
    }, WAIT);
    expect(box.asked.slice(1, 3)).toEqual([{ after: 1 }, { after: 1 }]);
    expect(running.messages).toEqual(items(0, 2));
  });

  test("what becomes durable late does not hide that the stream after it is silent", async () => {
    const box = await serve();
    box.ends = true;
    box.offer(items(0, 1));
    const time = heldTime();
    const policy = { ...QUICK, probeEveryMs: 1000 };
    const how = { cursor: CURSOR, silenceMs: 10_000, policy };
    const running = new Running(feedOf(box, "Follow", how, time.env), false);
    await vi.waitFor(() => expect(running.messages).toHaveLength(1), WAIT);
    // The end of the stream comes right behind its message.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    await box.close();
    box.ends = false;
    await box.start();
    const asked = (calls: number, stepMs: number): Promise<void> =>
      vi.waitFor(async () => {
        await time.advance(stepMs);
        expect(box.asked).toHaveLength(calls);
      }, WAIT);
    await asked(2, 10);
    running.settle();
    await asked(3, 1000);
  });

  test("a service that is not there is waited for, with the reason", async () => {
    const box = await serve();
    await box.close();
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }));
    await vi.waitFor(() => expect(running.feed.connection().reason).toMatch(/ECONNREFUSED/), WAIT);
    await box.start();
    box.offer(items(0, 1));
    await vi.waitFor(() => expect(running.messages).toEqual(items(0, 1)), WAIT);
  });
});

describe("a call of a source that fails", () => {
  const waits = ["CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "ABORTED"];
  const more = ["INTERNAL", "UNAVAILABLE", "UNAUTHENTICATED"];
  test("is made again after what passes, with the reason shown", async () => {
    for (const name of [...waits, ...more] as (keyof typeof status)[]) {
      const box = await serve();
      const time = heldTime();
      const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }, time.env));
      box.failures.push({ code: status[name], details: "not now" });
      box.offer(items(0, 1));
      await vi.waitFor(() => expect(running.feed.connection()).toMatchObject({ state: "backing-off" }), WAIT);
      expect(running.feed.connection().reason).toContain(`answered ${name}: not now`);
      expect(running.messages).toEqual([]);
      await vi.waitFor(async () => {
        await time.advance(100);
        expect(running.messages).toEqual(items(0, 1));
      }, WAIT);
      expect(box.asked).toEqual([{}, {}]);
    }
  });

  test.each([
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
  ])("with %s ends the feed", async (name) => {
    const box = await serve();
    box.failures.push({ code: status[name as keyof typeof status], details: "never" });
    const running = new Running(feedOf(box, "List", { items: "items" }));
    await expect(running.done).rejects.toMatchObject({
      code: "GRPC-REFUSED",
      kind: "terminal",
      details: { status: name },
      message: expect.stringContaining("never"),
    });
  });

  test("is not made again before the service wants it", async () => {
    const box = await serve();
    box.failures.push({ code: status.RESOURCE_EXHAUSTED, pushbackMs: 100_000 });
    const time = heldTime();
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }, time.env));
    await vi.waitFor(() => expect(time.waits).toContain(100_000), WAIT);
    expect(running.feed.connection().state).toBe("backing-off");
    await time.advance(99_999);
    expect(box.asked).toHaveLength(1);
    await time.advance(1);
    await vi.waitFor(() => expect(box.asked).toHaveLength(2), WAIT);
  });

  test("a message that is too large ends the feed, and leaves it where it is", async () => {
    const box = await serve();
    box.offer([item(1), item(2, { filling: Buffer.alloc(3000).toString("base64") }), item(3)]);
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR, channel: { bytesMax: 2000 } }));
    await expect(running.done).rejects.toMatchObject({ code: "GRPC-MESSAGE-SIZE", kind: "terminal" });
    expect(running.messages).toEqual([item(1)]);
  });
});
