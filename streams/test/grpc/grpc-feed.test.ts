/** Methods as feeds: what is read, where it goes on, and what a call that fails means. */
import { status } from "@grpc/grpc-js";
import { type Feed, type FeedGroup, type FeedReceipt, type Json, type JsonObject, systemEnv } from "@millrace/engine";
import { cursorFeedContract } from "@millrace/engine/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type GrpcFeedOptions, grpcFeed } from "../../src/grpc/mod.ts";
import { type BoxMethod, boxMethod, GrpcBox, serve } from "./grpc-box.ts";

const env = systemEnv();
const WAIT = { timeout: 10_000, interval: 5 };
const QUICK = { backoffMs: 5, backoffMaxMs: 20, suspendMs: 50, probeEveryMs: 20 };
const CURSOR = { field: "id", request: "after" };

function feedOf(box: GrpcBox, method: BoxMethod, options: Partial<GrpcFeedOptions> = {}): Feed {
  const address = box.address(method, "source");
  return grpcFeed(address, env, { method: boxMethod(method), channel: {}, policy: QUICK, everyMs: 10, ...options })();
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
    { jsonOnly: true },
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
    const { messages } = new Running(feedOf(box, "List", { items: "items", cursor: CURSOR, everyMs: 100_000 }));
    await vi.waitFor(() => expect(box.asked).toHaveLength(1), WAIT);
    box.offer(items(0, 1));
    expect(messages).toEqual([]);
    expect(box.asked).toEqual([{}]);
  });

  test("a message without the cursor ends the feed, and is not taken", async () => {
    const box = await serve();
    box.offer([item(1, { amount: 1 }), item(2)]);
    const wrong = new Running(feedOf(box, "List", { items: "items", cursor: { field: "$.last", request: "after" } }));
    await expect(wrong.done).rejects.toMatchObject({ code: "GRPC-CURSOR", kind: "terminal" });
    expect(wrong.messages).toEqual([]);
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
      { timeout: 10_000, interval: 200 },
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
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR, silenceMs: 60 }));
    await vi.waitFor(() => expect(box.asked.length).toBeGreaterThan(2), WAIT);
    expect(box.asked[0]).toEqual({});
    expect(box.asked[2]).toEqual({ after: 1 });
    expect(running.messages).toEqual(items(0, 2));
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
      const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }));
      box.failures.push({ code: status[name], details: "not now" });
      box.offer(items(0, 1));
      await vi.waitFor(() => expect(running.feed.connection()).toMatchObject({ state: "backing-off" }), WAIT);
      expect(running.feed.connection().reason).toContain(`answered ${name}: not now`);
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
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR }));
    await vi.waitFor(() => expect(running.feed.connection().state).toBe("backing-off"), WAIT);
    // Without that it would have been called a second later.
    await new Promise((resolve) => env.timers.after(1300, () => resolve(undefined)));
    expect(box.asked).toHaveLength(1);
  });

  test("a message that is too large ends the feed, and leaves it where it is", async () => {
    const box = await serve();
    box.offer([item(1), item(2, { filling: Buffer.alloc(3000).toString("base64") }), item(3)]);
    const running = new Running(feedOf(box, "Follow", { cursor: CURSOR, channel: { bytesMax: 2000 } }));
    await expect(running.done).rejects.toMatchObject({ code: "GRPC-MESSAGE-SIZE", kind: "terminal" });
    expect(running.messages).toEqual([item(1)]);
  });
});
