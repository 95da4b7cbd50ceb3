import type { Disk } from "@millrace/engine";
import { SimulatedMount } from "@millrace/engine/testing";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { describe, expect, it } from "vitest";
import { CURSOR_KEY, CURSOR_TABLE } from "../../src/embedded/index-keys.ts";
import { DIRECTORY, LogMachine, type LogProcess, SEGMENT_BYTES } from "./log-machine.ts";
import { gather, LogModel } from "./log-model.ts";
import { LogWorkload } from "./log-workload.ts";

const MANIFEST = `${DIRECTORY}/MANIFEST`;

class Bench {
  readonly machine: LogMachine;
  readonly model = new LogModel();
  readonly #workload: LogWorkload;

  constructor(seed: string) {
    this.machine = new LogMachine(seed);
    this.#workload = new LogWorkload(this.machine, this.model);
  }

  async append({ log }: LogProcess, stream: string, payloadBytes: number): Promise<void> {
    const append = [
      { stream, expected: "any" as const, events: [this.#workload.event(this.machine.env.random.bytes(payloadBytes))] },
    ];
    this.model.acknowledge(this.model.ask(append), await this.machine.env.until(log.append(append)));
  }

  async check({ log }: LogProcess): Promise<void> {
    await this.machine.env.until(this.model.check(log));
    expect(this.model.violations).toEqual([]);
  }
}

describe("opening a log", () => {
  it("survives a crash at every moment of it, twice, and then a torn tail is cut once", async () => {
    for (let moment = 0; moment < 30; moment++) {
      const bench = new Bench(`crash-${moment}`);
      const process = await bench.machine.open();
      for (let i = 0; i < 3; i++) await bench.append(process, "a", 5000);
      bench.machine.kill(process);
      const used = bench.machine.disk.bytesOf(bench.machine.segment(1)).findLastIndex((byte) => byte !== 0) + 1;
      bench.machine.disk.damage(bench.machine.segment(1), (bytes) => bytes.fill(7, used + 4096, used + 8192));
      for (let crash = 0; crash < 2; crash++) {
        const started = bench.machine.start();
        await bench.machine.env.advance(moment * 0.7);
        bench.machine.powerCut(started);
      }
      const last = await bench.machine.open();
      await bench.check(last);
      await bench.append(last, "a", 100);
      bench.machine.kill(last);
      await bench.check(await bench.machine.open());
    }
  });

  it("survives a crash at every moment of making the log", async () => {
    for (let moment = 0; moment < 40; moment++) {
      const bench = new Bench(`create-${moment}`);
      const started = bench.machine.start();
      await bench.machine.env.advance(moment * 0.6);
      if (moment % 2 === 0) bench.machine.powerCut(started);
      else bench.machine.kill(started);
      const process = await bench.machine.open();
      await bench.append(process, "a", 100);
      await bench.check(process);
    }
  });

  it("changes nothing but the manifest when the log was recovered before", async () => {
    const bench = new Bench("second");
    const process = await bench.machine.open();
    for (let i = 0; i < 12; i++) await bench.append(process, "a", 7000);
    bench.machine.kill(process);
    const again = await bench.machine.open();
    await bench.machine.env.advance(2000);
    const id = again.log.id;
    const epoch = again.log.health.epoch;
    bench.machine.kill(again);
    const before = bench.machine.disk.image();
    const third = await bench.machine.open();
    await bench.machine.env.advance(2000);
    const after = bench.machine.disk.image();
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [path, bytes] of after) if (path !== MANIFEST) expect(bytes, path).toEqual(before.get(path));
    expect(third.log.id).toBe(id);
    expect(third.log.health.epoch).toBe(epoch + 1);
    await bench.check(third);
  });

  it("lists a seal that a crash kept out of the manifest", async () => {
    let unlisted = 0;
    for (let seed = 0; seed < 40; seed++) {
      const bench = new Bench(`roll-${seed}`);
      const process = await bench.machine.open();
      await bench.machine.env.advance(50);
      while (process.log.health.activeSegment === 1) await bench.append(process, "a", 7000);
      await bench.machine.env.advance(bench.machine.env.random.unit() * 3);
      if (!Buffer.from(bench.machine.disk.bytesOf(MANIFEST)).includes('"sealHead"')) unlisted++;
      bench.machine.powerCut(process);
      const next = await bench.machine.open();
      await bench.check(next);
      expect(Buffer.from(bench.machine.disk.bytesOf(MANIFEST)).includes('"sealHead"')).toBe(true);
    }
    expect(unlisted).toBeGreaterThan(0);
  });

  it("tells of a tail that was cut in the first block after it", async () => {
    const bench = new Bench("cut");
    const process = await bench.machine.open();
    await bench.append(process, "a", 100);
    bench.machine.kill(process);
    bench.machine.disk.damage(bench.machine.segment(1), (bytes) => bytes.fill(7, 3 * 4096, 4 * 4096));
    const next = await bench.machine.open();
    expect(next.log.health.tailCut).toMatchObject({ cutFrom: 1 });
    await bench.append(next, "a", 100);
    const controls = await bench.machine.env.until(gather(next.log.read({ filter: { types: ["$tail-cut"] } })));
    expect(controls.map((event) => [event.position, event.type, event.stream])).toEqual([[1, "$tail-cut", "$log"]]);
    expect(JSON.parse(Buffer.from(controls[0]?.payload ?? []).toString())).toMatchObject({ cutFrom: 1 });
    await bench.check(next);
  });

  it("is refused while another process has the log, and not any more once that is dead", async () => {
    const bench = new Bench("lock");
    const process = await bench.machine.open();
    expect(await bench.machine.outcomeOfOpening()).toBe("LOG-LOCKED");
    await bench.append(process, "a", 100);
    bench.machine.kill(process);
    await bench.check(await bench.machine.open());
  });
});

describe("what opening reads of segments", () => {
  /** Of a log whose last segment is as full as it gets; by file, how often each of its bytes was read. */
  async function readsOf(active: number): Promise<ReadonlyMap<string, number>> {
    const bench = new Bench("reads");
    const process = await bench.machine.open();
    const rollsNext = (): boolean => {
      const bytes = bench.machine.disk.bytesOf(bench.machine.segment(active));
      return bytes.findLastIndex((byte) => byte !== 0) > SEGMENT_BYTES - 4 * 4096;
    };
    while (process.log.health.activeSegment < active || !rollsNext()) {
      await bench.append(process, "a", 3000);
      await bench.machine.env.advance(50);
    }
    await bench.machine.env.until(process.log.indexed());
    bench.machine.kill(process);
    const read = new Map<string, number>();
    const disk = countingReads(new SimulatedMount(bench.machine.disk), (path, bytes) =>
      read.set(path, (read.get(path) ?? 0) + bytes / SEGMENT_BYTES),
    );
    // What it recalls of the last appends, for retries, is bounded by their number and read by itself.
    const opened = await bench.machine.open({ disk, recentAppends: 1 });
    expect(opened.log.health.activeSegment).toBe(active);
    const reads = new Map(read);
    await bench.check(opened);
    return reads;
  }

  it("is the last one and the one prepared, once, and places of the others, however many they are", async () => {
    for (const active of [3, 9]) {
      const reads = await readsOf(active);
      const machine = new LogMachine("names");
      const of = (serial: number): number => reads.get(machine.segment(serial)) ?? 0;
      // Headers and what stands around the last event are read again.
      expect(of(active)).toBeGreaterThan(0.99);
      expect(of(active)).toBeLessThan(2);
      expect(of(active + 1)).toBeGreaterThan(0.9);
      expect(of(active + 1)).toBeLessThan(1.2);
      for (let serial = 1; serial < active; serial++) expect(of(serial), `segment ${serial}`).toBeLessThan(0.4);
    }
  });
});

/** A disk that tells how many bytes of which file were read. */
function countingReads(disk: Disk, count: (path: string, bytes: number) => void): Disk {
  return new Proxy(disk, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== "function") return value;
      if (name !== "open") return value.bind(target);
      return async (path: string, ...rest: unknown[]) => {
        const file = (await value.call(target, path, ...rest)) as Awaited<ReturnType<Disk["open"]>>;
        const read = file.read.bind(file);
        file.read = async (into, position) => {
          const bytes = await read(into, position);
          count(path, bytes);
          return bytes;
        };
        return file;
      };
    },
  });
}

describe("witnesses", () => {
  async function twoMoments(): Promise<{
    bench: Bench;
    older: Uint8Array;
    witness: { logId: string; pos: number; chain: number };
  }> {
    const bench = new Bench("witness");
    const process = await bench.machine.open();
    await bench.append(process, "a", 100);
    const older = bench.machine.disk.bytesOf(bench.machine.segment(1));
    await bench.append(process, "a", 100);
    await bench.machine.env.until(process.log.indexed());
    const witness = process.log.witness();
    bench.machine.kill(process);
    return { bench, older, witness };
  }

  it("refuse an older active segment, each of them alone", async () => {
    const byIndex = await twoMoments();
    byIndex.bench.machine.disk.put(byIndex.bench.machine.segment(1), byIndex.older);
    expect(await byIndex.bench.machine.outcomeOfOpening()).toBe("LOG-TAIL-LOST");

    const bySnapshot = await twoMoments();
    bySnapshot.bench.machine.forgetWitnesses();
    bySnapshot.bench.machine.disk.put(bySnapshot.bench.machine.segment(1), bySnapshot.older);
    const witnesses = [{ name: "snapshot", ...bySnapshot.witness }];
    expect(await bySnapshot.bench.machine.outcomeOfOpening({ witnesses })).toBe("LOG-TAIL-LOST");

    const byManifest = await twoMoments();
    const { machine } = byManifest.bench;
    await machine.close(await machine.open());
    machine.forgetWitnesses();
    machine.disk.put(machine.segment(1), byManifest.older);
    expect(await machine.outcomeOfOpening()).toBe("LOG-TAIL-LOST");
  });

  it("without any, an older segment is opened: nothing on this disk knows more", async () => {
    const { bench, older } = await twoMoments();
    bench.machine.forgetWitnesses();
    bench.machine.disk.put(bench.machine.segment(1), older);
    expect(await bench.machine.outcomeOfOpening()).toBe("opened");
  });

  it("with another chain value refuse, of another log say nothing", async () => {
    const { bench, witness } = await twoMoments();
    const chain = { ...witness, chain: witness.chain ^ 1 };
    expect(await bench.machine.outcomeOfOpening({ witnesses: [{ name: "x", ...chain }] })).toBe("LOG-TAIL-LOST");
    const foreign = { ...chain, logId: "0".repeat(32) };
    expect(await bench.machine.outcomeOfOpening({ witnesses: [{ name: "x", ...foreign }] })).toBe("opened");
  });
});

describe("the index", () => {
  async function log(): Promise<Bench> {
    const bench = new Bench("index");
    const process = await bench.machine.open();
    for (let i = 0; i < 30; i++) await bench.append(process, `s${i % 4}`, 3000);
    await bench.machine.env.until(process.log.indexed());
    bench.machine.kill(process);
    return bench;
  }

  async function setCursor(bench: Bench, change: (cursor: Record<string, unknown>) => void): Promise<void> {
    const { indexStore } = bench.machine;
    const cursor = JSON.parse(Buffer.from(indexStore.get(CURSOR_TABLE, CURSOR_KEY) as Uint8Array).toString()) as Record<
      string,
      unknown
    >;
    change(cursor);
    await indexStore.transact((tx) => tx.put(CURSOR_TABLE, CURSOR_KEY, Buffer.from(JSON.stringify(cursor))));
  }

  it("is rebuilt when it is gone", async () => {
    const bench = await log();
    bench.machine.forgetWitnesses();
    const process = await bench.machine.open();
    await bench.check(process);
    await bench.machine.env.until(process.log.indexed());
    await bench.check(process);
    expect(process.log.health.indexLag).toBe(0);
  });

  it("that comes past the end a reader began with does not show it more", async () => {
    const bench = new Bench("early");
    const process = await bench.machine.open();
    for (let i = 0; i < 5; i++) await bench.append(process, "a", 100);
    const early = process.log.readStream("a");
    const earlyBackward = process.log.readStream("a", { direction: "backward", limit: 2 });
    for (let i = 0; i < 5; i++) await bench.append(process, "a", 100);
    await bench.machine.env.until(process.log.indexed());
    expect((await bench.machine.env.until(gather(early))).map((event) => event.revision)).toEqual([0, 1, 2, 3, 4]);
    expect((await bench.machine.env.until(gather(earlyBackward))).map((event) => event.revision)).toEqual([4, 3]);
  });

  it("is wiped and rebuilt when it is another log's", async () => {
    const bench = await log();
    await setCursor(bench, (cursor) => {
      cursor.logId = "0".repeat(32);
    });
    const process = await bench.machine.open();
    await bench.machine.env.until(process.log.indexed());
    await bench.check(process);
  });

  it("ahead of the log, or of another chain, refuses it", async () => {
    const ahead = await log();
    await setCursor(ahead, (cursor) => {
      cursor.pos = (cursor.pos as number) + 1;
    });
    expect(await ahead.machine.outcomeOfOpening()).toBe("LOG-TAIL-LOST");
    const other = await log();
    await setCursor(other, (cursor) => {
      cursor.chain = (cursor.chain as number) ^ 1;
    });
    expect(await other.machine.outcomeOfOpening()).toBe("LOG-TAIL-LOST");
  });

  it("rests no longer than its tail lets it", async () => {
    const bench = new Bench("rest");
    const process = await bench.machine.open({ indexLingerMs: 1_000_000, tailEventsMax: 20 });
    for (let i = 0; i < 9; i++) await bench.append(process, "a", 100);
    await bench.machine.env.advance(100);
    expect(process.log.health.indexLag).toBe(9);
    for (let i = 0; i < 60; i++) {
      await bench.append(process, "a", 100);
      await bench.machine.env.advance(10);
      expect(process.log.health.indexLag).toBeLessThan(12);
    }
  });

  it("that cannot be written stops itself, not appends, until its tail has reached the bound", async () => {
    const bench = new Bench("lag");
    const store = memoryOrderedStore();
    let full = true;
    const indexStore = {
      ...store,
      get: store.get.bind(store),
      range: store.range.bind(store),
      count: store.count.bind(store),
      drop: store.drop.bind(store),
      close: store.close.bind(store),
      transact: (write: Parameters<typeof store.transact>[0]) =>
        full ? Promise.reject(new Error("full")) : store.transact(write),
    } as typeof store;
    const process = await bench.machine.open({ indexStore, tailEventsMax: 10 });
    for (let i = 0; i < 10; i++) await bench.append(process, "a", 100);
    await bench.machine.env.advance(100);
    await expect(bench.append(process, "a", 100)).rejects.toMatchObject({ code: "LOG-LAG", kind: "transient" });
    expect(process.log.health.index).toBeDefined();
    full = false;
    await bench.machine.env.advance(3000);
    expect(process.log.health.indexLag).toBe(0);
    const events = await bench.machine.env.until(gather(process.log.readStream("a")));
    expect(events).toHaveLength(10);
  });
});

describe("a follower that is not the log's own", () => {
  it("holds appends back while it is too far behind, and no longer than it is one", async () => {
    const bench = new Bench("bound");
    const process = await bench.machine.open();
    let followed = 0;
    const free = process.log.bound({ name: "tree", lag: () => process.log.durableEnd - followed, lagMax: 3 });
    for (let i = 0; i < 3; i++) await bench.append(process, "a", 100);
    const details = { follower: "tree", waiting: 3, waitingMax: 3 };
    await expect(bench.append(process, "a", 100)).rejects.toMatchObject({
      code: "LOG-LAG",
      kind: "transient",
      details,
    });
    followed = 1;
    await bench.append(process, "a", 100);
    await expect(bench.append(process, "a", 100)).rejects.toMatchObject({ code: "LOG-LAG" });
    free();
    await bench.append(process, "a", 100);
  });
});
