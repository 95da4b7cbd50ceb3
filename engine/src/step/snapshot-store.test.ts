import { describe, expect, it } from "vitest";
import { wholly } from "../frame/point.ts";
import { within } from "../testing/sample-frames.ts";
import { SortedMapStore } from "../testing/sorted-map-store.ts";
import { SnapshotStore, type TakenSnapshot, type WantedSnapshot } from "./snapshot-store.ts";
import { StepChain } from "./step-chain.ts";

const STREAM = "graph/node";
const POSITION = 41;

function sampleChain(): StepChain {
  const chain = new StepChain();
  Object.assign(chain, {
    revision: 9,
    epoch: 3,
    at: 1234,
    steps: 7,
    watermark: 60,
    out: { watermark: 50, idle: true },
  });
  const a = chain.open({ lane: 0, name: "src#0>node" });
  a.cursor = within(5, 2);
  a.progress = { watermark: 60, idle: false, mark: { epoch: 2, n: 8 }, anchor: { pos: 4, watermark: 55 } };
  chain.open({ lane: 1, name: "other>node" }).cursor = wholly(3);
  chain.nextSeq.set("out", 77);
  return chain;
}

const state = { keys: ["a", "b"], totals: new Uint8Array(new Float64Array([1.5, 2]).buffer) };
const VERSION = { codeVersion: "code 1", stateVersion: 2 };
const WANTED = { ...VERSION, stateSince: 0 };

interface Log {
  id: string;
  durableEnd: number;
  base: number;
}

interface Stand {
  readonly store: SortedMapStore;
  readonly log: Log;
  readonly snapshots: SnapshotStore;
}

function stand(): Stand {
  const store = new SortedMapStore();
  const log: Log = { id: "log 1", durableEnd: 100, base: 0 };
  return { store, log, snapshots: new SnapshotStore(store, log) };
}

const taken = (chain: StepChain = sampleChain(), of: Partial<TakenSnapshot> = {}): TakenSnapshot =>
  SnapshotStore.take({ ...VERSION, graphRevision: 3, ...of }, chain, state);

async function written(): Promise<Stand> {
  const all = stand();
  await all.snapshots.write(STREAM, POSITION, taken(), 0);
  return all;
}

/** A snapshot that says at which position it was taken. */
function at(revision: number): TakenSnapshot {
  const chain = sampleChain();
  chain.revision = revision;
  return taken(chain);
}

describe("a snapshot", () => {
  it("gives back the chain and the state of the moment at which it was taken", async () => {
    const { snapshots } = await written();
    const found = snapshots.read(STREAM, WANTED);
    expect(found?.chain).toEqual(sampleChain());
    expect(structuredClone(found?.state)).toEqual(state);
  });

  it("is not changed by what the chain does after it was taken", async () => {
    const { snapshots } = stand();
    const chain = sampleChain();
    const one = taken(chain);
    chain.nextSeq.set("out", 99);
    chain.revision = 50;
    await snapshots.write(STREAM, POSITION, one, 0);
    expect(snapshots.read(STREAM, WANTED)?.chain).toEqual(sampleChain());
  });

  it.each<[string, Partial<Log>, Partial<WantedSnapshot>]>([
    ["another log", { id: "log 2" }, {}],
    ["another version of the code", {}, { codeVersion: "code 2" }],
    ["another shape of the state", {}, { stateVersion: 3 }],
    ["a position that the log does not hold durably", { durableEnd: POSITION }, {}],
    ["a position that is not of the time before", {}, { end: POSITION }],
    ["a revision whose state does not count", {}, { stateSince: 4 }],
  ])("of %s is ignored", async (_what, ofLog, wanted) => {
    const { log, snapshots } = await written();
    Object.assign(log, ofLog);
    expect(snapshots.read(STREAM, { ...WANTED, ...wanted })).toBeUndefined();
  });

  it("is believed as soon as its last step is durable", async () => {
    const { log, snapshots } = await written();
    log.durableEnd = POSITION + 1;
    expect(snapshots.read(STREAM, { ...WANTED, end: POSITION + 1, stateSince: 3 })).toBeDefined();
  });

  it("is of one stream", async () => {
    const { snapshots } = await written();
    await snapshots.write("graph/other", POSITION, at(1), 0);
    expect(snapshots.read(STREAM, WANTED)?.chain.revision).toBe(9);
    expect(snapshots.read("graph/unknown", WANTED)).toBeUndefined();
  });
});

describe("snapshots of a stream", () => {
  /** Snapshots at 10, 20 and so on, and at which of these one is found. */
  async function kept(bytesBetween: number, count = 8): Promise<readonly number[]> {
    const { snapshots } = stand();
    for (let i = 1; i <= count; i++) await snapshots.write(STREAM, 10 * i, at(10 * i), bytesBetween);
    const found = Array.from({ length: 10 * count + 1 }, (_, end) =>
      snapshots.read(STREAM, { ...WANTED, end: end + 1 }),
    );
    return [...new Set(found.flatMap((one) => (one === undefined ? [] : [one.chain.revision])))];
  }
  const bytes = at(10).body.length;

  it("all stay that take no more room than the steps before them", async () => {
    expect(await kept(bytes)).toEqual([10, 20, 30, 40, 50, 60, 70, 80]);
  });

  it("are as far apart as it takes for that, and the newest stays anyway", async () => {
    expect(await kept(bytes / 3)).toEqual([30, 60, 80]);
    expect(await kept(0)).toEqual([80]);
  });

  it("may come in between later", async () => {
    const { snapshots } = stand();
    for (const position of [30, 10, 20]) await snapshots.write(STREAM, position, at(position), bytes);
    const found = [10, 20, 30, 40].map((end) => snapshots.read(STREAM, { ...WANTED, end: end + 1 })?.chain.revision);
    expect(found).toEqual([10, 20, 30, 30]);
  });

  it("of all versions go with what was pruned, those of another log at once", async () => {
    const { store, log, snapshots } = stand();
    for (const codeVersion of ["code 1", "code 2"]) {
      for (const position of [10, 20, 30])
        await snapshots.write(STREAM, position, { ...at(position), codeVersion }, bytes);
    }
    await snapshots.write("graph/other", 10, at(10), bytes);
    expect(store.count("snapshots")).toBe(7);
    log.base = 30;
    await snapshots.write(STREAM, 40, at(40), bytes);
    expect(store.count("snapshots")).toBe(4);
    log.id = "log 2";
    await snapshots.write(STREAM, 50, at(50), bytes);
    expect(store.count("snapshots")).toBe(2);
    expect(snapshots.read(STREAM, WANTED)?.chain.revision).toBe(50);
  });
});
