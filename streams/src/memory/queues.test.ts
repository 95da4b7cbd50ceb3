/** Queues between graphs of one process. */
import { type Json, Positions, RowBatch, reportOf, systemEnv } from "@millrace/engine";
import { feedContract, sinkContract } from "@millrace/engine/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type MemoryQueue, MemoryQueues, memoryFeed, memorySink } from "./mod.ts";
import type { QueuedMessage } from "./subject-queue.ts";

const env = systemEnv();
const POLICY = { backoffMs: 1, backoffMaxMs: 5, suspendMs: 10 };
const WAIT = { timeout: 45_000, interval: 2 };

feedContract(
  "a queue in memory",
  async () => {
    const queue = new MemoryQueues().queue("orders");
    let sent = 0;
    return {
      connect: (unsettledMax) => memoryFeed(queue, env, { unsettledMax, policy: POLICY }),
      async send(bodies) {
        for (const body of bodies)
          await queue.messages.publish({ headers: { id: `m${sent++}` }, body: Buffer.from(body) });
      },
      close: async () => undefined,
    };
  },
  { settlesAlone: true },
);

sinkContract(
  "a queue in memory",
  async () => {
    const queues = new MemoryQueues();
    const queue = queues.queue("orders");
    return {
      connect: () => memorySink(queue, { id: "g/out", policy: POLICY }, env),
      content: async () => heldBy(queue).map(({ body }) => JSON.parse(Buffer.from(body).toString()) as Json),
      close: async () => undefined,
    };
  },
  // More than the queue holds would wait for a reader.
  { many: 1000 },
);

/** What the queue holds, which stays there. */
function heldBy({ messages }: MemoryQueue): readonly QueuedMessage[] {
  const held: QueuedMessage[] = [];
  const looking = (message: QueuedMessage): void => void held.push(message);
  messages.attach(looking, Number.MAX_SAFE_INTEGER);
  messages.detach(looking);
  return held;
}

function takeFirst({ messages }: MemoryQueue): void {
  const taken: QueuedMessage[] = [];
  const taking = (message: QueuedMessage): void => void taken.push(message);
  messages.attach(taking, 1);
  for (const { sequence, attempt } of taken) messages.answer(sequence, attempt, true);
  messages.detach(taking);
}

function sinkOf(queue: MemoryQueue): ReturnType<typeof memorySink> {
  const sink = memorySink(queue, { id: "g/out", policy: POLICY }, env);
  onTestFinished(() => sink.close());
  return sink;
}

function slice(from: number, rows: readonly Json[]) {
  return { lane: "l", input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

describe("a queue in memory that is full", () => {
  test("holds its sink back until there is room", async () => {
    const queue = new MemoryQueues(2).queue("q");
    let isDelivered = false;
    const delivering = sinkOf(queue)
      .deliver([slice(0, [0, 1, 2])])
      .then(() => {
        isDelivered = true;
      });
    await vi.waitFor(() => expect(heldBy(queue).length).toBe(2), WAIT);
    expect(isDelivered).toBe(false);
    takeFirst(queue);
    await delivering;
    expect(heldBy(queue).map(({ body }) => Buffer.from(body).toString())).toEqual(["1", "2"]);
  });

  test("is left by a sink that is closed, whose message does not come in late", async () => {
    const queue = new MemoryQueues(1).queue("q");
    const sink = sinkOf(queue);
    const failure = sink.deliver([slice(0, [0, 1])]).catch(reportOf);
    await vi.waitFor(() => expect(heldBy(queue).length).toBe(1), WAIT);
    await sink.close();
    expect(await failure).toMatchObject({ code: "SINK-FAILED", kind: "transient" });
    takeFirst(queue);
    expect(heldBy(queue)).toEqual([]);
  });

  test("is full by its bytes, too", async () => {
    const queue = new MemoryQueues().queue("q");
    const part = "x".repeat(9 * 1024 * 1024);
    const sink = sinkOf(queue);
    const delivering = sink.deliver([slice(0, [part, part])]).catch(reportOf);
    await vi.waitFor(() => expect(heldBy(queue).length).toBe(1), WAIT);
    await sink.close();
    expect(await delivering).toMatchObject({ code: "SINK-FAILED" });
  });
});

test("a step that is done again has the same ids", async () => {
  const queue = new MemoryQueues().queue("q");
  await sinkOf(queue).deliver([slice(5, ["a", "b"])]);
  await sinkOf(queue).deliver([slice(5, ["a", "b"])]);
  const ids = heldBy(queue).map(({ headers }) => headers.id);
  expect(ids.slice(0, 2)).toEqual(ids.slice(2));
  expect(new Set(ids).size).toBe(2);
});

test("one source reads a queue; another one waits for its end, and says so", async () => {
  const queue = new MemoryQueues().queue("q");
  const got: Json[] = [];
  const listen = (): { readonly stop: () => Promise<void>; readonly reason: () => string } => {
    const feed = memoryFeed(queue, env, { policy: POLICY });
    const stopping = new AbortController();
    const unused = (): never => {
      throw new Error("only messages come");
    };
    const take = (message: Json): void => void got.push(message);
    const running = feed.run(
      { cursor: undefined, take, takeGroup: unused, reject: unused, lose: unused },
      stopping.signal,
    );
    const stop = async (): Promise<void> => {
      stopping.abort();
      await running;
    };
    onTestFinished(stop);
    return { stop, reason: () => feed.connection().reason };
  };
  const first = listen();
  await sinkOf(queue).deliver([slice(0, [1])]);
  await vi.waitFor(() => expect(got).toEqual([1]), WAIT);
  const second = listen();
  await vi.waitFor(() => expect(second.reason()).toContain("the queue q is read by another source"), WAIT);
  await first.stop();
  await vi.waitFor(() => expect(got).toEqual([1, 1]), WAIT);
});
