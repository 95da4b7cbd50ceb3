import { describe, expect, it } from "vitest";
import { wholly } from "../frame/point.ts";
import { within } from "../testing/sample-frames.ts";
import { SortedMapStore } from "../testing/sorted-map-store.ts";
import { SnapshotStore, type TakenSnapshot } from "./snapshot-store.ts";
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

async function written(): Promise<{ store: SortedMapStore; snapshots: SnapshotStore; taken: TakenSnapshot }> {
  const store = new SortedMapStore();
  const snapshots = new SnapshotStore(store, "log 1", () => 100);
  const taken = SnapshotStore.take("code 1", 2, sampleChain(), state);
  await snapshots.write(STREAM, POSITION, taken);
  return { store, snapshots, taken };
}

describe("a snapshot", () => {
  it("gives back the chain and the state of the moment at which it was taken", async () => {
    const { snapshots } = await written();
    const found = snapshots.read(STREAM, "code 1", 2);
    expect(found?.chain).toEqual(sampleChain());
    expect(structuredClone(found?.state)).toEqual(state);
  });

  it("is not changed by what the chain does after it was taken", async () => {
    const store = new SortedMapStore();
    const snapshots = new SnapshotStore(store, "log 1", () => 100);
    const chain = sampleChain();
    const taken = SnapshotStore.take("code 1", 2, chain, state);
    chain.nextSeq.set("out", 99);
    chain.revision = 50;
    await snapshots.write(STREAM, POSITION, taken);
    expect(snapshots.read(STREAM, "code 1", 2)?.chain).toEqual(sampleChain());
  });

  it.each<[string, string, number, string, number]>([
    ["another log", "log 2", 100, "code 1", 2],
    ["another version of the code", "log 1", 100, "code 2", 2],
    ["another shape of the state", "log 1", 100, "code 1", 3],
    ["a position that the log does not hold durably", "log 1", POSITION, "code 1", 2],
  ])("of %s is ignored", async (_what, logId, durableEnd, codeVersion, stateVersion) => {
    const { store } = await written();
    const snapshots = new SnapshotStore(store, logId, () => durableEnd);
    expect(snapshots.read(STREAM, codeVersion, stateVersion)).toBeUndefined();
  });

  it("is believed as soon as its last step is durable", async () => {
    const { store } = await written();
    expect(new SnapshotStore(store, "log 1", () => POSITION + 1).read(STREAM, "code 1", 2)).toBeDefined();
  });

  it("replaces the one before, per stream", async () => {
    const { store, snapshots, taken } = await written();
    await snapshots.write(STREAM, POSITION + 1, taken);
    await snapshots.write("graph/other", POSITION, taken);
    expect(store.count("snapshots")).toBe(2);
    expect(snapshots.read("graph/unknown", "code 1", 2)).toBeUndefined();
  });
});
