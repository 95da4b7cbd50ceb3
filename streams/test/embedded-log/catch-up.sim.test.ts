/** An index that is far behind its log, or gone, is made in long transactions: it then says what one says that followed the log. */
import type { OrderedStore, StreamAppend } from "@millrace/engine";
import { SimulatedMount, sampleEvent, tagged } from "@millrace/engine/testing";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { describe, expect, it } from "vitest";
import {
  BLOCK_TABLE,
  CURSOR_TABLE,
  decodeLocations,
  INDEX_TABLES,
  LIST_TABLE,
  numberOfKey,
  POSTING_TABLE,
  STREAM_TABLE,
} from "../../src/embedded/index-keys.ts";
import { LogIndex } from "../../src/embedded/log-index.ts";
import { inlineIndexer } from "../../src/embedded/log-indexer.ts";
import type { EmbeddedLogOptions } from "../../src/embedded/open-embedded-log.ts";
import { LogMachine, type LogProcess } from "./log-machine.ts";

const APPENDS = 60;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Streams with and without a category, tags, correlations of one event, of neighbours and of events far apart. */
function appendOf(i: number): readonly StreamAppend[] {
  const correlationId = Buffer.alloc(16, i % 4 === 0 ? 7 : i);
  const node = i % 3 === 0 ? { graph: "flights", node: "by-airport" } : {};
  const event = (k: number) =>
    sampleEvent({
      type: `Type${(i + k) % 3}`,
      context: { correlationId, ...node },
      ...(i % 5 === 0 ? tagged([`seat:${i % 10}`], 3000) : { payload: Buffer.alloc(3000, i) }),
    });
  return [{ stream: i % 2 === 0 ? `order-${i % 6}` : "plain", expected: "any", events: [event(0), event(1)] }];
}

async function followed(machine: LogMachine): Promise<OrderedStore> {
  const process = await machine.open();
  for (let i = 0; i < APPENDS; i++) {
    await machine.env.until(process.log.append(appendOf(i)));
    await machine.env.advance(20);
  }
  await machine.env.until(process.log.indexed());
  await machine.close(process);
  return machine.indexStore;
}

/** Whatever is more than one event behind is caught up with, in transactions of `catchUpEvents`. */
function catchingUp(machine: LogMachine, catchUpEvents: number, calls: string[] = []): Partial<EmbeddedLogOptions> {
  const { indexStore: store } = machine;
  return {
    tailEventsMax: 2,
    indexer: (settings) => {
      const indexer = inlineIndexer({ ...settings, disk: new SimulatedMount(machine.disk), store, catchUpEvents });
      return {
        jobEventsMax: indexer.jobEventsMax,
        restShare: indexer.restShare,
        index: (job) => {
          calls.push("index");
          return indexer.index(job);
        },
        catchUp: (job) => {
          calls.push("catchUp");
          return indexer.catchUp(job);
        },
        close: () => indexer.close(),
      };
    },
  };
}

/** What an index says, however its entries were cut: entries of a list joined, numbers of events for its anchors. */
function saidBy(store: OrderedStore): Record<string, unknown> {
  const { names: _, ...cursor } = new LogIndex(store).cursor() ?? { names: [] };
  const said: Record<string, unknown> = { cursor, carried: new LogIndex(store).carriedBase() };
  for (const table of [STREAM_TABLE, POSTING_TABLE]) {
    const lists = new Map<string, unknown[]>();
    for (const { key, value } of store.range(table)) {
      const list = hex(key.subarray(0, key.length - 8));
      const known = lists.get(list) ?? [];
      if (table === STREAM_TABLE) expect(numberOfKey(key, 4)).toBe(known.length);
      lists.set(list, [...known, ...decodeLocations(value)]);
    }
    said[table] = lists;
  }
  said[LIST_TABLE] = numbersOf(store);
  for (const table of INDEX_TABLES) {
    if (table === CURSOR_TABLE || said[table] !== undefined) continue;
    said[table] = Array.from(store.range(table), ({ key, value }) => [hex(key), hex(value)]);
  }
  return said;
}

/** How many events each list has. Every anchor says where the event of its number is. */
function numbersOf(store: OrderedStore): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { key, value } of store.range(LIST_TABLE)) {
    if (value.length === 8) {
      counts.set(hex(key), numberOfKey(value, 0));
      continue;
    }
    const prefix = key.subarray(0, key.length - 8);
    const end = Buffer.concat([prefix, Buffer.alloc(8, 255)]);
    const positions = Array.from(store.range(POSTING_TABLE, { gte: prefix, lt: end }), (entry) =>
      decodeLocations(entry.value).map(({ position }) => position),
    ).flat();
    expect(positions[numberOfKey(key, prefix.length)]).toBe(numberOfKey(value, 0));
  }
  return counts;
}

describe("an index that is gone", () => {
  it("is made again in few transactions or many, and says what it said", async () => {
    const machine = new LogMachine("catch-up");
    const said = saidBy(await followed(machine));
    expect(said[BLOCK_TABLE]).toHaveLength(APPENDS);
    for (const catchUpEvents of [1, 7, 100, 1_000_000]) {
      machine.forgetWitnesses();
      const calls: string[] = [];
      const process = await machine.open(catchingUp(machine, catchUpEvents, calls));
      expect(calls).toEqual(["catchUp"]);
      expect(process.log.health.indexLag).toBe(0);
      expect(saidBy(machine.indexStore)).toEqual(said);
      await mustGoOn(machine, process);
      machine.kill(process);
    }
  });

  it("is made to its end by the opening that follows a crash at any transaction", async () => {
    const machine = new LogMachine("crashes");
    const said = saidBy(await followed(machine));
    const places = new Set<number | undefined>();
    for (let commits = 0; commits < 8; commits++) {
      const store = memoryOrderedStore();
      machine.indexStore = committing(store, INDEX_TABLES.length + commits, () => new Promise(() => undefined));
      const started = machine.start(catchingUp(machine, 20));
      await machine.env.advance(1000);
      machine.kill(started);
      places.add(new LogIndex(store).cursor()?.pos);
      machine.indexStore = store;
      const process = await machine.open(catchingUp(machine, 20));
      expect(saidBy(store)).toEqual(said);
      machine.kill(process);
    }
    expect(places).toEqual(new Set([undefined, 20, 40, 60, 80, 100, 120]));
  });

  it("of a store that fails refuses the log, and goes on from what was committed", async () => {
    const machine = new LogMachine("store");
    const said = saidBy(await followed(machine));
    const store = memoryOrderedStore();
    const full = (): Promise<never> => Promise.reject(Object.assign(new Error("full"), { code: "STORE-FULL" }));
    machine.indexStore = committing(store, INDEX_TABLES.length + 2, full);
    expect(await machine.outcomeOfOpening(catchingUp(machine, 20))).toBe("STORE-FULL");
    expect(new LogIndex(store).cursor()?.pos).toBe(40);
    machine.indexStore = store;
    machine.kill(await machine.open(catchingUp(machine, 20)));
    expect(saidBy(store)).toEqual(said);
  });
});

/** The store, of which so many tables are dropped or transactions committed, and then something else happens to them. */
function committing(store: OrderedStore, most: number, then: () => Promise<never>): OrderedStore {
  let left = most;
  return {
    get: store.get.bind(store),
    range: store.range.bind(store),
    count: store.count.bind(store),
    transact: (write) => (left-- > 0 ? store.transact(write) : then()),
    drop: (table) => (left-- > 0 ? store.drop(table) : then()),
    close: store.close.bind(store),
  };
}

/** Appends know the heads, and names their numbers. */
async function mustGoOn(machine: LogMachine, { log }: LogProcess): Promise<void> {
  expect(await machine.env.until(log.head("plain"))).toBe(APPENDS - 1);
  expect(await machine.env.until(log.head("order-2"))).toBe(APPENDS / 3 - 1);
}
