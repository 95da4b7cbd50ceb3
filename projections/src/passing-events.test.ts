import {
  type EventFilter,
  type EventLists,
  type EventLog,
  eventFilter,
  type ReadOptions,
  type RecordedEvent,
  type SubscribeOptions,
  type SubscriptionBatch,
} from "@millrace/engine";
import { expect, it } from "vitest";
import { type PassingOptions, passingEvents } from "./passing-events.ts";

/** Events 0, 1, 2, …, in batches of ten; every hundredth is of node `rare`, and all are of stream `s`. */
class CountingLog implements Pick<EventLog, "read" | "readStream" | "lists" | "durableEnd" | "subscribe"> {
  readonly durableEnd = 150_000;
  declare readonly lists?: EventLists;
  /** What each read was told. */
  readonly told: (ReadOptions & { readonly stream?: string })[] = [];
  batches = 0;
  #onBatch: (batch: number) => void;

  constructor(isIndexed: boolean, onBatch: (batch: number) => void = () => undefined) {
    // Only whether there are any is looked at.
    if (isIndexed) Object.assign(this, { lists: {} });
    this.#onBatch = onBatch;
  }

  read(options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.told.push(options);
    return this.#all(options.from ?? 0);
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<readonly RecordedEvent[]> {
    this.told.push({ ...options, stream });
    return this.#all(options.from ?? 0);
  }

  /** A subscription tells of batches only where something passes, and of the end. */
  async *subscribe({ from = 0, filter, signal }: SubscribeOptions): AsyncGenerator<SubscriptionBatch> {
    const passes = eventFilter(filter);
    for (let end = from; end < this.durableEnd && !signal.aborted; ) {
      const begin = end;
      end = Math.min(begin + 1000, this.durableEnd);
      this.batches += 1;
      this.#onBatch(this.batches);
      const events = Array.from({ length: end - begin }, (_, i) => eventAt(begin + i)).filter(passes);
      if (events.length > 0 || end === this.durableEnd) yield { events, end, live: end === this.durableEnd };
    }
  }

  async *#all(from: number): AsyncGenerator<readonly RecordedEvent[]> {
    for (let at = from; ; at += 10) {
      this.batches += 1;
      this.#onBatch(this.batches);
      yield Array.from({ length: 10 }, (_, i) => eventAt(at + i));
    }
  }
}

const NO_ID = new Uint8Array(16);

function eventAt(position: number): RecordedEvent {
  const context = { graph: "g", node: position % 100 === 99 ? "rare" : "n", causationId: NO_ID, correlationId: NO_ID };
  const type = position % 70_000 === 69_999 ? "$tail-cut" : "T";
  return { id: NO_ID, position, stream: "s", type, context, payload: NO_ID } as unknown as RecordedEvent;
}

async function positions(log: CountingLog, options: PassingOptions, signal = new AbortController().signal) {
  const found: number[] = [];
  for await (const events of passingEvents(log, options, signal)) found.push(...events.map(({ position }) => position));
  return found;
}

it("gives what passes, up to a limit and before a position", async () => {
  const log = new CountingLog(false);
  expect(await positions(log, { filter: { node: "rare" }, limit: 2 })).toEqual([99, 199]);
  expect(await positions(log, { filter: { node: "rare" }, from: 100, to: 399 })).toEqual([199, 299]);
  expect(await positions(log, { from: 5, to: 8 })).toEqual([5, 6, 7]);
  expect(await positions(log, { stream: "s", limit: 1, filter: { node: "rare" } })).toEqual([99]);
  expect(log.told.at(-1)).toEqual({ stream: "s" });
});

it("ends when its asker has left, though nothing has passed", async () => {
  const asker = new AbortController();
  const gone = new Error("gone");
  const log = new CountingLog(true, (batch) => {
    if (batch === 5) asker.abort(gone);
  });
  await expect(positions(log, { filter: { streamPrefix: "x" } }, asker.signal)).rejects.toBe(gone);
  expect(log.batches).toBe(5);
  await expect(positions(log, {}, asker.signal)).rejects.toBe(gone);
  expect(log.batches).toBe(5);
});

it.each<[EventFilter, EventFilter | undefined]>([
  [{ streamPrefix: "x" }, undefined],
  [{ types: ["A", "B"] }, undefined],
  [{ types: ["A"], streamPrefix: "x" }, { types: ["A"] }],
  [{ types: ["A"], graph: "g", node: "n" }, { node: "n" }],
  [
    { types: ["A"], graph: "g", tags: ["t"] },
    { graph: "g", tags: ["t"] },
  ],
  [{ tags: ["t"], streamPrefix: "x" }, { tags: ["t"] }],
  [{ category: "c", types: ["A", "B"] }, { category: "c" }],
  [{ types: ["$metadata"] }, { types: ["$metadata"] }],
])("of %j an index is told %j, and a log without one nothing", async (filter, told) => {
  const of = async (isIndexed: boolean): Promise<EventFilter | undefined> => {
    const asker = new AbortController();
    const log = new CountingLog(isIndexed, () => asker.abort());
    await positions(log, { filter }, asker.signal).catch(() => undefined);
    return log.told[0]?.filter;
  };
  expect([await of(true), await of(false)]).toEqual([told, undefined]);
});

it("finds the log's own records from either end, and ends when their asker has left", async () => {
  const filter = { types: ["$tail-cut", "$name"] };
  const log = new CountingLog(true);
  expect(await positions(log, { filter })).toEqual([69_999, 139_999]);
  expect(await positions(log, { filter, direction: "backward" })).toEqual([139_999, 69_999]);
  expect(await positions(log, { filter, direction: "backward", from: 139_998, limit: 1 })).toEqual([69_999]);
  expect(log.told).toEqual([]);
  const asker = new AbortController();
  const left = new CountingLog(true, (batch) => {
    if (batch === 3) asker.abort(new Error("gone"));
  });
  const read = positions(left, { filter: { types: ["$name"] }, direction: "backward" }, asker.signal);
  await expect(read).rejects.toThrow("gone");
  expect(left.batches).toBe(3);
});
