import { beforeEach, describe, expect, it } from "vitest";
import { sampleEvent, to } from "../testing/sample-events.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { SortedMapStore } from "../testing/sorted-map-store.ts";
import { Tally } from "../testing/tally.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { encodeOwned, encodeStep, OWNED, STEP } from "./step-record.ts";
import { StreamFold } from "./stream-fold.ts";

const STREAM = "graph/node";
const STEPS = 6;

/** A behavior that would fail if anything but its fold were used. */
class FoldOnly extends Tally {
  folded = 0;

  override fold(event: Parameters<Tally["fold"]>[0]): void {
    this.folded++;
    super.fold(event);
  }

  override restore(snapshot: Parameters<Tally["restore"]>[0]): void {
    super.fold(snapshot);
  }

  open(): void {
    throw new Error("an effect");
  }

  finish(): void {
    throw new Error("an effect");
  }
}

const env = virtualEnv("stream-fold");
let storage: SimulatedLog;
let snapshots: SnapshotStore;
beforeEach(async () => {
  storage = new SimulatedLog({ env, random: env.random.fork("log") });
  const log = storage.open(env);
  snapshots = new SnapshotStore(new SortedMapStore(), log);
  const owned = sampleEvent({ type: OWNED, payload: encodeOwned({ epoch: 0, host: "h" }) });
  await env.until(log.append(to(STREAM, owned)));
  // Positions: owned 0, then a step at every odd position and something else at every even one.
  for (let total = 1; total <= STEPS; total++) {
    const out = { watermark: total, idle: false };
    const step = { at: total, since: 0, inputs: [], opened: [], recorded: [], emitted: [], dead: [], dropped: [] };
    const payload = encodeStep({ ...step, state: [{ total }], watermark: total, out });
    await env.until(log.append(to(STREAM, sampleEvent({ type: STEP, payload, context: { graphRevision: 1 } }))));
    await env.until(log.append(to("other", sampleEvent({ type: "Other" }))));
  }
});

async function foldedAt(end: number): Promise<{ total: number; folded: number; revision: number; at: number }> {
  const behavior = new FoldOnly();
  const log = storage.open(env);
  const fold = new StreamFold({ log, stream: STREAM, behavior, snapshots, codeVersion: "1", stateSince: 0 });
  await env.until(fold.restore(end));
  await env.until(fold.foldTail(end));
  return { total: behavior.total, folded: behavior.folded, revision: fold.chain.revision, at: fold.chain.at };
}

/** Steps below a position. */
const stepsBelow = (end: number): number => Math.min(STEPS, Math.floor(end / 2));

async function snapshotAfter(steps: number): Promise<void> {
  const behavior = new Tally();
  const log = storage.open(env);
  const fold = new StreamFold({ log, stream: STREAM, behavior, snapshots: undefined, codeVersion: "1", stateSince: 0 });
  await env.until(fold.foldTail(2 * steps));
  const of = { codeVersion: "1", stateVersion: 1, graphRevision: 1 };
  const taken = SnapshotStore.take(of, fold.chain, behavior.snapshot());
  await snapshots.write(STREAM, 2 * steps - 1, taken, taken.body.length);
}

describe("a stream folded up to a position", () => {
  it("holds what is below it and nothing else", async () => {
    for (let end = 0; end <= 2 * STEPS + 1; end++) {
      const steps = stepsBelow(end);
      expect([end, await foldedAt(end)]).toEqual([
        end,
        { total: steps, folded: steps, revision: end === 0 ? -1 : steps, at: steps },
      ]);
    }
  });

  it("begins at the snapshot if that is not later, and is the same", async () => {
    await snapshotAfter(3);
    for (let end = 0; end <= 2 * STEPS + 1; end++) {
      const steps = stepsBelow(end);
      const expected = {
        total: steps,
        folded: steps < 3 ? steps : steps - 3,
        revision: end === 0 ? -1 : steps,
        at: steps,
      };
      expect([end, await foldedAt(end)]).toEqual([end, expected]);
    }
  });

  it("begins at the newest of several snapshots that is not later", async () => {
    for (const steps of [1, 3, 5]) await snapshotAfter(steps);
    for (const [end, steps, after] of [
      [2, 1, 0],
      [3, 1, 0],
      [4, 2, 1],
      [7, 3, 0],
      [9, 4, 1],
      [11, 5, 0],
    ] as const)
      expect([end, await foldedAt(end)]).toEqual([end, expect.objectContaining({ total: steps, folded: after })]);
  });

  it("leaves snapshots for those after it where the node has none, in their right places", async () => {
    const log = storage.open(env);
    const close = new SnapshotStore(new SortedMapStore(), log, 2);
    const at = async (end: number): Promise<readonly [total: number, folded: number]> => {
      const behavior = new FoldOnly();
      const options = { log, stream: STREAM, behavior, snapshots: close, codeVersion: "1", stateSince: 0 };
      const fold = new StreamFold({ ...options, leavesSnapshots: true });
      await env.until(fold.restore(end));
      await env.until(fold.foldTail(end));
      return [behavior.total, behavior.folded];
    };
    expect(await at(2 * STEPS + 1)).toEqual([STEPS, STEPS]);
    for (let end = 0; end <= 2 * STEPS + 1; end++) {
      const [total, folded] = await at(end);
      expect([end, total]).toEqual([end, stepsBelow(end)]);
      expect(folded).toBeLessThanOrEqual(2);
    }
    // The node itself, whose state may be of another shape as it runs, begins at none of these.
    expect(close.read(STREAM, { codeVersion: "1", stateVersion: 1, stateSince: 0 })).toBeUndefined();
  });

  it("does not begin at a snapshot of other code", async () => {
    await snapshotAfter(3);
    const behavior = new FoldOnly();
    const log = storage.open(env);
    const fold = new StreamFold({ log, stream: STREAM, behavior, snapshots, codeVersion: "2", stateSince: 0 });
    await env.until(fold.restore());
    await env.until(fold.foldTail());
    expect([behavior.total, behavior.folded]).toEqual([STEPS, STEPS]);
  });
});
