import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import {
  defineEventSchema,
  type EventLog,
  type JsonObject,
  type OrderedStore,
  type OrderedWriter,
  packState,
  storeError,
  systemEnv,
} from "@millrace/engine";
import { sampleEvent, to, virtualEnv } from "@millrace/engine/testing";
import { openLmdbStore } from "@millrace/native";
import {
  deadLetterProjection,
  defineProjection,
  graphProjection,
  type Projection,
  type ProjectionRunner,
  projectionRunner,
} from "@millrace/projections";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { afterEach, describe, expect, it } from "vitest";

const env = systemEnv();

/** Sums numbers by name: each event's payload is `{ name, n }`. */
function sums(overrides: Partial<Projection> = {}): Projection {
  return defineProjection({
    name: "sums",
    version: 1,
    handles: { types: ["Added"] },
    key: ["name"],
    fold(rows, event) {
      const { name, n } = JSON.parse(Buffer.from(event.payload).toString()) as { name: string; n: number };
      const before = (rows.get(name)?.sum ?? 0) as number;
      rows.put({ name, sum: before + n, last: event.position });
    },
    ...overrides,
  });
}

const added = (name: string, n: number): ReturnType<typeof sampleEvent> =>
  sampleEvent({ type: "Added", payload: Buffer.from(JSON.stringify({ name, n })) });

async function add(log: EventLog, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) await log.append(to("s", added(`n${i % 7}`, i)));
}

const open: ProjectionRunner[] = [];
afterEach(async () => {
  for (const runner of open.splice(0)) await runner.stop();
});

function run(log: EventLog, store: OrderedStore, projections: readonly Projection[], rowsMax = 3): ProjectionRunner {
  const runner = projectionRunner({
    log,
    store,
    projections,
    env,
    transactionRowsMax: rowsMax,
    lingerMs: 0,
    waitMsMax: 300,
  });
  open.push(runner);
  runner.start();
  return runner;
}

const newLog = (): EventLog => memoryEventLog({ env });

/** The rows that a fold of the whole log from scratch leads to. */
async function rowsFromScratch(log: EventLog, projection: Projection): Promise<readonly JsonObject[]> {
  const runner = run(log, memoryOrderedStore(), [projection], 1_000_000);
  await runner.reached(log.durableEnd);
  return (await runner.query(projection.name, { limit: 1000 })).rows;
}

/** A store that fails transactions as a test plans it. */
function failing(store: OrderedStore, fails: (transaction: number) => Error | undefined): OrderedStore {
  let transaction = 0;
  return {
    get: (table, key) => store.get(table, key),
    range: (table, options) => store.range(table, options),
    count: (table) => store.count(table),
    drop: (table) => store.drop(table),
    close: () => store.close(),
    transact: <T>(write: (tx: OrderedWriter) => T) =>
      store.transact((tx) => {
        const value = write(tx);
        transaction += 1;
        const error = fails(transaction);
        if (error !== undefined) throw error;
        return value;
      }),
  };
}

describe("a projection", () => {
  it("follows the log, and says as of which position its rows are", async () => {
    const log = newLog();
    await add(log, 20);
    const runner = run(log, memoryOrderedStore(), [sums()]);
    await runner.reached(20);
    const page = await runner.query("sums", { where: { name: "n6" } });
    expect(page).toEqual({ asOf: 20, rows: [{ name: "n6", sum: 6 + 13, last: 13 }], next: null });
    await log.append(to("s", added("n6", 100)));
    expect((await runner.query("sums", { where: { name: "n6" }, minPosition: 20 })).rows).toEqual([
      { name: "n6", sum: 119, last: 20 },
    ]);
    expect(runner.list()).toMatchObject([{ name: "sums", version: 1, asOf: 21, lag: 0, lagMs: 0, state: "live" }]);
  });

  it("moves on over events that do not concern it", async () => {
    const log = newLog();
    const runner = run(log, memoryOrderedStore(), [sums()]);
    for (let i = 0; i < 30; i++) await log.append(to("s", sampleEvent({ type: "Other" })));
    expect((await runner.query("sums", { minPosition: 29 })).asOf).toBe(30);
  });

  it("resumes at its checkpoint and folds nothing twice", async () => {
    const log = newLog();
    const store = memoryOrderedStore();
    await add(log, 25);
    const first = run(log, store, [sums()]);
    await first.reached(25);
    await first.stop();
    await add(log, 25, 25);
    const waiting = projectionRunner({ log, store, projections: [sums()], env });
    expect((await waiting.query("sums")).asOf).toBe(25);
    const folded: number[] = [];
    const watched = sums({
      fold(rows, event) {
        folded.push(event.position);
        sums().fold(rows, event);
      },
    });
    const second = run(log, store, [watched]);
    await second.reached(50);
    expect(folded).toEqual(Array.from({ length: 25 }, (_, i) => 25 + i));
    expect((await second.query("sums")).rows).toEqual(await rowsFromScratch(log, sums()));
  });

  it("that crashed in any transaction has the same rows as one that did not", async () => {
    const log = newLog();
    await add(log, 40);
    const wanted = await rowsFromScratch(log, sums());
    for (let crash = 1; crash <= 16; crash++) {
      const store = memoryOrderedStore();
      const crashing = failing(store, (n) => (n === crash ? new Error("power cut") : undefined));
      const first = run(log, crashing, [sums()]);
      await first.reached(40);
      await first.stop();
      const second = run(log, store, [sums()]);
      await second.reached(40);
      expect((await second.query("sums")).rows).toEqual(wanted);
    }
  });

  it("waits out a full store and goes on by itself", async () => {
    const virtual = virtualEnv("full store");
    const log = newLog();
    await add(log, 10);
    const store = failing(memoryOrderedStore(), (n) =>
      n >= 3 && n < 6 ? storeError("STORE-FULL", "full") : undefined,
    );
    const runner = projectionRunner({
      log,
      store,
      projections: [sums()],
      env: virtual,
      transactionRowsMax: 3,
      lingerMs: 0,
    });
    open.push(runner);
    runner.start();
    await settle();
    expect(runner.list()[0]).toMatchObject({ state: "building", reason: expect.stringContaining("STORE-FULL") });
    for (let i = 0; i < 5; i++) {
      await virtual.advance(1000);
      await settle();
    }
    expect(runner.list()[0]).toMatchObject({ state: "live", asOf: 10 });
    expect((await runner.query("sums")).rows).toEqual(await rowsFromScratch(log, sums()));
  });

  it("waits out a store that is full for whatever it writes: a record, rows, progress without rows, a swap, a drop", async () => {
    const log = newLog();
    await add(log, 4);
    await log.append(
      to(
        "s",
        Array.from({ length: 12_000 }, () => sampleEvent({ type: "Other" })),
      ),
    );
    const wanted = await rowsFromScratch(log, sums());
    for (let full = 1, wasFull = true; wasFull; full++) {
      wasFull = false;
      const virtual = virtualEnv("full store");
      const inner = memoryOrderedStore();
      await run(log, inner, [sums()]).reached(log.durableEnd);
      for (const runner of open.splice(0)) await runner.stop();
      let done = 0;
      const fills = (): Error | undefined => {
        done += 1;
        wasFull ||= done === full;
        return done === full ? storeError("STORE-FULL", "full") : undefined;
      };
      const store: OrderedStore = {
        ...failing(inner, fills),
        drop: async (table) => {
          const error = fills();
          if (error !== undefined) throw error;
          await inner.drop(table);
        },
      };
      const next = sums({ version: 2 });
      const runner = projectionRunner({ log, store, projections: [next], env: virtual, lingerMs: 0 });
      open.push(runner);
      runner.start();
      await settle();
      await virtual.advance(1000);
      await settle();
      expect([full, runner.list()[0]]).toMatchObject([full, { state: "live", version: 2, asOf: log.durableEnd }]);
      expect((await runner.query("sums")).rows).toEqual(wanted);
      expect(inner.count("projection/sums/1")).toBe(0);
    }
  });

  it("does not answer for a position that it has not folded", async () => {
    const log = newLog();
    const runner = run(log, memoryOrderedStore(), [sums()]);
    await expect(runner.query("sums", { minPosition: 5 })).rejects.toMatchObject({ code: "PROJECTION-BEHIND" });
    await expect(runner.query("nobody")).rejects.toMatchObject({ code: "PROJECTION-UNKNOWN" });
  });
});

describe("progress over events that concern no row", () => {
  const others = (count: number) =>
    to(
      "s",
      Array.from({ length: count }, () => sampleEvent({ type: "Other" })),
    );
  /** As of which position a runner that has not begun finds the rows. */
  const noted = async (log: EventLog, store: OrderedStore): Promise<number> =>
    (await projectionRunner({ log, store, projections: [sums()], env }).query("sums")).asOf;

  it("is noted after ten thousand of them, and at the end", async () => {
    const log = newLog();
    const store = memoryOrderedStore();
    await log.append(others(10_000));
    const runner = run(log, store, [sums()]);
    await expect.poll(() => noted(log, store)).toBe(10_000);
    await log.append(others(5));
    await runner.reached(10_005);
    expect(await noted(log, store)).toBe(10_000);
    await runner.stop();
    expect(await noted(log, store)).toBe(10_005);
  });
});

describe("how long a projection is behind", () => {
  it("does not change with the time of day", async () => {
    const log = newLog();
    await add(log, 1);
    let monotonicMs = 0;
    let nowMs = 1_700_000_000_000;
    const clock = { now: () => nowMs, monotonic: () => monotonicMs };
    const runner = projectionRunner({
      log,
      store: memoryOrderedStore(),
      projections: [sums()],
      env: { ...env, clock },
    });
    monotonicMs += 5000;
    nowMs -= 3_600_000;
    expect(runner.list()).toMatchObject([{ lag: 1, lagMs: 5000 }]);
  });
});

describe("the number of rows", () => {
  it("is not counted again before something was committed", async () => {
    const log = newLog();
    await add(log, 10);
    const store = memoryOrderedStore();
    let counts = 0;
    const counting: OrderedStore = {
      ...failing(store, () => undefined),
      count: (table) => {
        counts += 1;
        return store.count(table);
      },
    };
    const runner = run(log, counting, [sums()]);
    await runner.reached(10);
    await runner.stop();
    expect([runner.list()[0]?.rows, runner.list()[0]?.rows, counts]).toEqual([7, 7, 1]);
  });
});

describe("a projection whose fold throws", () => {
  const poisoned = (): Projection =>
    sums({
      fold(rows, event) {
        if (event.position === 11) throw new RangeError("eleven");
        sums().fold(rows, event);
      },
    });

  it("is parked before that event, with the cause, while others go on", async () => {
    const log = newLog();
    await add(log, 20);
    const runner = run(log, memoryOrderedStore(), [poisoned(), sums({ name: "healthy" })], 1000);
    await runner.reached(20);
    const [parked, healthy] = runner.list();
    expect(parked).toMatchObject({ state: "failed", asOf: 11, lag: 9 });
    expect(parked?.reason).toMatch(/PROJECTION-PARKED: .*position 11.*eleven/);
    expect(healthy).toMatchObject({ state: "live", asOf: 20 });
    expect((await runner.query("sums", { where: { name: "n3" } })).rows).toEqual([{ name: "n3", sum: 13, last: 10 }]);
  });

  it("goes on from there once it is corrected", async () => {
    const log = newLog();
    const store = memoryOrderedStore();
    await add(log, 20);
    const first = run(log, store, [poisoned()]);
    await first.reached(20);
    await first.stop();
    const second = run(log, store, [sums()]);
    await second.reached(20);
    expect((await second.query("sums")).rows).toEqual(await rowsFromScratch(log, sums()));
  });
});

describe("a new version", () => {
  const doubled = (hold?: () => void): Projection =>
    sums({
      version: 2,
      fold(rows, event) {
        hold?.();
        sums().fold(rows, event);
        const { name } = JSON.parse(Buffer.from(event.payload).toString()) as { name: string };
        rows.put({ ...rows.get(name), name, version: 2 });
      },
    });

  it("is built beside the old one, which answers until the swap; then the old rows are gone", async () => {
    const log = newLog();
    const store = memoryOrderedStore();
    await add(log, 20);
    const first = run(log, store, [sums()]);
    await first.reached(20);
    await first.stop();
    let blocked = true;
    const waiting = doubled(() => {
      if (blocked) throw new Error("not yet");
    });
    const second = run(log, store, [waiting]);
    await second.reached(20);
    expect(second.list()[0]).toMatchObject({ version: 1, asOf: 20, state: "failed" });
    expect((await second.query("sums")).rows).toHaveLength(7);
    await second.stop();
    blocked = false;
    const third = run(log, store, [waiting]);
    await third.reached(20);
    expect(third.list()[0]).toMatchObject({ version: 2, asOf: 20, rows: 7 });
    const { rows } = await third.query("sums");
    expect(rows.every((row) => row.version === 2)).toBe(true);
    await expect.poll(() => store.count("projection/sums/1")).toBe(0);
    expect(store.count("projection/sums/2")).toBe(7);
  });

  it("is begun by another key alone", async () => {
    const log = newLog();
    const store = memoryOrderedStore();
    await add(log, 10);
    const first = run(log, store, [sums()]);
    await first.reached(10);
    await first.stop();
    const other = sums({
      key: ["last", "name"],
      fold: (rows, { position }) => rows.put({ last: position, name: "x" }),
    });
    const second = run(log, store, [other]);
    await second.reached(10);
    expect((await second.query("sums")).rows).toHaveLength(10);
    await expect.poll(() => store.count("projection/sums/1")).toBe(0);
  });

  it("rebuilt from the log equals the live one", async () => {
    const log = newLog();
    await add(log, 30);
    const runner = run(log, memoryOrderedStore(), [sums()]);
    await runner.reached(30);
    const live = await runner.query("sums");
    await runner.rebuild("sums");
    await runner.reached(30);
    expect(await runner.query("sums")).toEqual(live);
  });
});

describe("a checkpoint", () => {
  it("of another log is worth nothing: the rows are built again", async () => {
    const store = memoryOrderedStore();
    const other = newLog();
    await add(other, 30);
    const first = run(other, store, [sums()]);
    await first.reached(30);
    await first.stop();
    const log = newLog();
    await add(log, 5);
    const second = run(log, store, [sums()]);
    await second.reached(5);
    expect((await second.query("sums")).rows).toEqual(await rowsFromScratch(log, sums()));
    expect(store.count("projection/sums/1")).toBe(0);
  });

  it("ahead of its log refuses: the log has lost its tail", async () => {
    const store = memoryOrderedStore();
    const log = newLog();
    await add(log, 10);
    const first = run(log, store, [sums()]);
    await first.reached(10);
    await first.stop();
    const shorter = newLog();
    await add(shorter, 4);
    const lost: EventLog = Object.create(shorter, {
      id: { value: log.id },
      durableEnd: { get: () => shorter.durableEnd },
      subscribe: { value: shorter.subscribe.bind(shorter) },
    });
    const second = run(lost, store, [sums()]);
    await second.reached(10);
    expect(second.list()[0]).toMatchObject({ state: "failed", reason: expect.stringContaining("PROJECTION-AHEAD") });
    expect((await second.query("sums")).asOf).toBe(10);
  });
});

describe("the past", () => {
  it("at any position is what was live then", async () => {
    const log = newLog();
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const then: (readonly JsonObject[])[] = [[]];
    for (let i = 0; i < 15; i++) {
      await log.append(to("s", added(`n${i % 4}`, i)));
      then.push((await runner.query("sums", { minPosition: i })).rows);
    }
    for (const [asOf, rows] of then.entries())
      expect(await runner.query("sums", { asOf })).toEqual({ asOf, rows, next: null });
    await expect(runner.query("sums", { asOf: 16 })).rejects.toMatchObject({ code: "PROJECTION-QUERY" });
  });

  it("at any time is what was live at its end", async () => {
    let now = 1000;
    const log = memoryEventLog({ env: { ...env, clock: { ...env.clock, now: () => now } } });
    for (const ms of [1000, 2000, 2000, 3000]) {
      now = ms;
      await log.append(to("s", added("x", ms)));
    }
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const at = async (asOfTimeMs: number): Promise<unknown> =>
      (await runner.query("sums", { asOfTimeMs })).rows[0]?.sum;
    expect([await at(999), await at(1000), await at(2500), await at(9000)]).toEqual([undefined, 1000, 5000, 8000]);
    now = 4000;
    await log.append(to("s", added("x", now)));
    expect(await at(9000)).toBe(12_000);
  });
});

describe("moments that are asked for again", () => {
  it("are folded once while they are among the last four, and again after a failure", async () => {
    const inner = newLog();
    await add(inner, 10);
    let folds = 0;
    let fails = false;
    const log: EventLog = Object.create(inner, {
      durableEnd: { get: () => inner.durableEnd },
      subscribe: { value: inner.subscribe.bind(inner) },
      read: {
        value: (...options: Parameters<EventLog["read"]>) => {
          folds += 1;
          if (fails) throw new Error("cannot be read now");
          return inner.read(...options);
        },
      },
    });
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const ask = async (asOf: number): Promise<number> => {
      const before = folds;
      await runner.query("sums", { asOf });
      return folds - before;
    };
    expect([await ask(1), await ask(1), await ask(2), await ask(3), await ask(4)]).toEqual([1, 0, 1, 1, 1]);
    expect([await ask(1), await ask(5), await ask(1), await ask(2)]).toEqual([0, 1, 0, 1]);
    fails = true;
    await expect(ask(9)).rejects.toThrow("cannot be read now");
    fails = false;
    expect(await ask(9)).toBe(1);
  });
});

describe("a look at the past", () => {
  /** The log, whose reads come to nothing until they are let go; `ended` counts those that are over. */
  function held(inner: EventLog): { log: EventLog; begun: () => number; ended: () => number; letGo: () => void } {
    let [begun, ended] = [0, 0];
    let isHeld = true;
    const letGo = (): void => {
      isHeld = false;
    };
    async function* read(options: Parameters<EventLog["read"]>[0]) {
      begun += 1;
      try {
        while (isHeld) {
          yield [];
          await turn();
        }
        yield* inner.read(options);
      } finally {
        ended += 1;
      }
    }
    const log: EventLog = Object.create(inner, {
      durableEnd: { get: () => inner.durableEnd },
      subscribe: { value: inner.subscribe.bind(inner) },
      read: { value: read },
    });
    return { log, begun: () => begun, ended: () => ended, letGo };
  }

  const pastTables = (store: OrderedStore): number[] => [0, 1, 2, 3].map((i) => store.count(`projection-past/${i}`));

  it("keeps its rows in the store, and leaves none there", async () => {
    const log = newLog();
    await add(log, 20);
    const store = memoryOrderedStore();
    const runner = run(log, store, [sums()]);
    await runner.query("sums", { asOf: 3 });
    await runner.query("sums", { asOf: 5 });
    expect(pastTables(store).sort()).toEqual([0, 0, 3, 5]);
    await runner.stop();
    expect(pastTables(store)).toEqual([0, 0, 0, 0]);
  });

  it("finds nothing of what a process left that ended without a stop", async () => {
    const log = newLog();
    await add(log, 20);
    const store = memoryOrderedStore();
    const left = (tx: OrderedWriter): void => tx.put("projection-past/3", Buffer.from("x"), Buffer.from("y"));
    await store.transact(left);
    const runner = run(log, store, [sums()]);
    await expect.poll(() => pastTables(store)).toEqual([0, 0, 0, 0]);
    await store.transact(left);
    expect((await runner.query("sums", { asOf: 4 })).rows).toHaveLength(4);
  });

  it("is refused where its rows take more room than they may, and leaves the room free", async () => {
    const log = newLog();
    await add(log, 20);
    const store = memoryOrderedStore();
    const runner = projectionRunner({ log, store, projections: [sums()], env, lingerMs: 0, pastBytesMax: 60 });
    open.push(runner);
    runner.start();
    await expect(runner.query("sums", { asOf: 20 })).rejects.toMatchObject({
      code: "PROJECTION-PAST-SIZE",
      kind: "rejected",
      message: "the rows of sums before position 20 take more than 60 bytes",
    });
    await expect.poll(() => pastTables(store)).toEqual([0, 0, 0, 0]);
    expect((await runner.query("sums", { asOf: 2 })).rows).toHaveLength(2);
  });

  it("counts a row that is put again once", async () => {
    const log = newLog();
    for (let i = 0; i < 50; i++) await log.append(to("s", added("n", i)));
    const runner = projectionRunner({
      log,
      store: memoryOrderedStore(),
      projections: [sums()],
      env,
      lingerMs: 0,
      pastBytesMax: 150,
    });
    open.push(runner);
    runner.start();
    expect((await runner.query("sums", { asOf: 50 })).rows).toHaveLength(1);
  });

  it("is one of two at once, which whoever asks for the same moment shares", async () => {
    const inner = newLog();
    await add(inner, 20);
    const { log, begun, letGo } = held(inner);
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const first = [runner.query("sums", { asOf: 3 }), runner.query("sums", { asOf: 3 })];
    const second = runner.query("sums", { asOf: 4 });
    await expect.poll(() => begun()).toBe(2);
    const third = runner.query("sums", { asOf: 5 });
    await expect(third).rejects.toMatchObject({ code: "PROJECTION-BUSY", kind: "transient", retryAfterMs: 2000 });
    letGo();
    expect((await Promise.all([...first, second])).map(({ rows }) => rows.length)).toEqual([3, 3, 4]);
    expect((await runner.query("sums", { asOf: 5 })).rows).toHaveLength(5);
  });

  it("ends when the last who waited has left, and is begun again for who comes then", async () => {
    const inner = newLog();
    await add(inner, 20);
    const { log, begun, ended, letGo } = held(inner);
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const [one, other] = [new AbortController(), new AbortController()];
    const first = runner.query("sums", { asOf: 3 }, one.signal);
    const second = runner.query("sums", { asOf: 3 }, other.signal);
    await expect.poll(() => begun()).toBe(1);
    const gone = new Error("gone");
    one.abort(gone);
    await expect(first).rejects.toBe(gone);
    other.abort(gone);
    await expect(second).rejects.toBe(gone);
    await expect.poll(() => ended()).toBe(1);
    letGo();
    expect((await runner.query("sums", { asOf: 3 })).rows).toHaveLength(3);
  });

  it("leaves no rows that nobody can ask for, when it comes to its end after the last has left", async () => {
    const inner = newLog();
    await add(inner, 20);
    let [atEnd, letGo] = [0, (): void => undefined];
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    async function* read(options: Parameters<EventLog["read"]>[0]) {
      try {
        yield* inner.read(options);
      } finally {
        atEnd += 1;
        await gate;
      }
    }
    const log: EventLog = Object.create(inner, {
      durableEnd: { get: () => inner.durableEnd },
      subscribe: { value: inner.subscribe.bind(inner) },
      read: { value: read },
    });
    const store = memoryOrderedStore();
    const runner = run(log, store, [sums()]);
    const one = new AbortController();
    const first = runner.query("sums", { asOf: 3 }, one.signal);
    await expect.poll(() => atEnd).toBe(1);
    one.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    const second = runner.query("sums", { asOf: 3 });
    await expect.poll(() => atEnd).toBe(2);
    letGo();
    expect((await second).rows).toHaveLength(3);
    await expect.poll(() => pastTables(store).sort()).toEqual([0, 0, 0, 3]);
    const others = [4, 5, 6].map((asOf) => async () => (await runner.query("sums", { asOf })).rows.length);
    for (const other of others) await other();
    expect(pastTables(store).sort()).toEqual([3, 4, 5, 6]);
  });

  it("goes on for one of two who wait", async () => {
    const inner = newLog();
    await add(inner, 20);
    const { log, letGo } = held(inner);
    const runner = run(log, memoryOrderedStore(), [sums()]);
    const one = new AbortController();
    const first = runner.query("sums", { asOf: 3 }, one.signal);
    const second = runner.query("sums", { asOf: 3 });
    one.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    letGo();
    expect((await second).rows).toHaveLength(3);
  });
});

describe("a projection on LMDB", () => {
  it("survives the store's end and its loss", async () => {
    const dir = mkdtempSync(join(tmpdir(), "millrace-projection-"));
    try {
      const log = newLog();
      await add(log, 50);
      const wanted = await rowsFromScratch(log, sums());
      for (const step of ["build", "resume", "lose"]) {
        if (step === "lose") rmSync(dir, { recursive: true });
        const store = await openLmdbStore({ dir });
        const runner = run(log, store, [sums()], 10);
        await runner.reached(50);
        expect((await runner.query("sums")).rows).toEqual(wanted);
        expect(runner.list()[0]?.rows).toBe(7);
        await runner.stop();
        await store.close();
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

/** Lets everything run that waits for nothing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

describe("events of older schemas", () => {
  /** Version 1 had the number alone. */
  const schema = defineEventSchema({
    type: "Added",
    version: 2,
    format: "json",
    upcasters: [(n) => ({ name: "unnamed", n })],
  });
  const old = { ...sampleEvent({ type: "Added", payload: Buffer.from("5") }), schemaVersion: 1 };
  const present = { ...added("a", 1), schemaVersion: 2 };

  it("are folded in their present version, now and for the past", async () => {
    const log = newLog();
    for (const event of [old, present, { ...old, id: env.random.bytes(16) }]) await log.append(to("s", event));
    const runner = run(log, memoryOrderedStore(), [sums({ schemas: [schema] })]);
    await runner.reached(3);
    expect((await runner.query("sums")).rows).toEqual([
      { name: "a", sum: 1, last: 1 },
      { name: "unnamed", sum: 10, last: 2 },
    ]);
    expect((await runner.query("sums", { asOf: 1 })).rows).toEqual([{ name: "unnamed", sum: 5, last: 0 }]);
  });

  it("park a projection where one is newer than it knows, which names type, version and position", async () => {
    const log = newLog();
    for (const event of [present, { ...added("b", 2), schemaVersion: 3 }, added("c", 3)])
      await log.append(to("s", event));
    const runner = run(log, memoryOrderedStore(), [sums({ schemas: [schema] })]);
    await expect
      .poll(() => runner.list()[0])
      .toMatchObject({
        state: "failed",
        asOf: 1,
        reason: expect.stringContaining("Added at position 1 has schema version 3; this code knows 1 to 2"),
      });
    await expect(runner.query("sums", { asOf: 2 })).rejects.toMatchObject({ code: "EVENT-SCHEMA" });
  });

  it("of the host are refused by its own projections too", async () => {
    const log = newLog();
    const started = sampleEvent({ type: "GraphStarted", context: { graph: "g" }, payload: packState({ nodes: [] }) });
    await log.append(to("graph/g", { ...started, schemaVersion: 2 }));
    const runner = run(log, memoryOrderedStore(), [graphProjection(), deadLetterProjection()]);
    await expect
      .poll(() => runner.list()[0])
      .toMatchObject({
        state: "failed",
        reason: expect.stringContaining("GraphStarted at position 0 has schema version 2"),
      });
    const payload = packState({ ids: [], state: "discarded" });
    const settled = sampleEvent({ type: "DeadLettersSettled", context: { graph: "g" }, payload });
    await log.append(to("graph/g", { ...settled, schemaVersion: 9 }));
    await expect
      .poll(() => runner.list()[1])
      .toMatchObject({
        state: "failed",
        reason: expect.stringContaining("DeadLettersSettled at position 1 has schema version 9"),
      });
  });
});
