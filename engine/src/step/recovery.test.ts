import { describe, expect, it } from "vitest";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { MillraceError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import { encodeBatch } from "../frame/batch-codec.ts";
import type { LateMark } from "../frame/frame.ts";
import { START, wholly } from "../frame/point.ts";
import type { EventLog } from "../log/event-log.ts";
import { sampleEvent, to } from "../testing/sample-events.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { SortedMapStore } from "../testing/sorted-map-store.ts";
import { Tally } from "../testing/tally.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { LaneCursor } from "./lane-cursor.ts";
import { type Recovered, takeOver, unacknowledged } from "./recovery.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { encodeStep, OWNED, STEP, STEP_SCHEMA, type StepRecord } from "./step-record.ts";

const STREAM = "graph/node";
const NOWHERE = { acknowledge: () => undefined, resume: () => undefined };

function stepOf(total: number, more: Partial<StepRecord> = {}): StepRecord {
  return {
    at: total,
    since: Number.NEGATIVE_INFINITY,
    inputs: [],
    opened: [],
    recorded: [],
    state: [{ total }],
    emitted: [],
    dead: [],
    dropped: [],
    watermark: Number.NEGATIVE_INFINITY,
    out: { watermark: Number.NEGATIVE_INFINITY, idle: false },
    ...more,
  };
}

class Stand {
  readonly env = virtualEnv("recovery");
  readonly storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  readonly log: EventLog = this.storage.open(this.env);
  readonly store = new SortedMapStore();
  readonly snapshots = new SnapshotStore(this.store, this.log);
  lane = new LaneCursor({ name: "src#0>node", path: 0, input: 0, feedback: false, origin: NOWHERE });
  behavior = new Tally();

  /** A fresh incarnation takes the stream over. */
  takeOver(host = "host", log: EventLog = this.log, codeVersion = "code 1"): Promise<Recovered> {
    this.behavior = new Tally();
    this.lane = new LaneCursor({ name: "src#0>node", path: 0, input: 0, feedback: false, origin: NOWHERE });
    const context = { principal: "system", tenant: "", codeVersion, graph: "graph", graphRevision: 1, node: "node" };
    const { env, behavior, snapshots } = this;
    const lanes = [this.lane];
    const options = { env, log, stream: STREAM, host, behavior, lanes, context, snapshots, stateSince: 0 };
    return this.env.until(takeOver(options));
  }

  append(step: StepRecord, epoch: number): Promise<unknown> {
    const event = sampleEvent({
      type: STEP,
      schemaVersion: STEP_SCHEMA,
      payload: encodeStep(step),
      context: { epoch, graphRevision: 1 },
    });
    return this.env.until(this.log.append(to(STREAM, event)));
  }

  get owners(): number[] {
    return this.storage.events.filter((e) => e.type === OWNED).map((e) => e.context.epoch);
  }
}

/** A log of which somebody else is always a little faster. */
function outrun(log: EventLog, act: () => Promise<unknown>): EventLog {
  return {
    id: log.id,
    appendBytesMax: log.appendBytesMax,
    get durableEnd() {
      return log.durableEnd;
    },
    append: async (appends) => {
      await act();
      return log.append(appends);
    },
    read: (options) => log.read(options),
    readStream: (stream, options) => log.readStream(stream, options),
    head: (stream) => log.head(stream),
    subscribe: (options) => log.subscribe(options),
    close: () => log.close(),
  };
}

describe("taking a stream over", () => {
  it("owns an empty stream with the first epoch and starts from nothing", async () => {
    const stand = new Stand();
    const { chain, epoch, position } = await stand.takeOver();
    expect([epoch, position, chain.revision, chain.steps]).toEqual([0, 1, 0, 0]);
    expect(stand.lane.cursor).toEqual(START);
    expect(stand.owners).toEqual([0]);
  });

  it("folds state, cursors, sequence numbers and tick, and owns with the next epoch (R26)", async () => {
    const stand = new Stand();
    await stand.takeOver();
    const input = {
      lane: 0,
      from: START,
      to: wholly(7),
      watermark: 55,
      exact: true,
      idle: true,
      mark: { epoch: 4, n: 2 },
      revision: 1,
      messages: 8,
      shed: 0,
    };
    await stand.append(
      stepOf(5, {
        opened: [{ lane: 0, name: "src#0>node" }],
        inputs: [input],
        emitted: [{ port: "out", firstSeq: 0, count: 3, batch: encodeBatch(new RowBatch([1, 2, 3])), late: [] }],
        watermark: 50,
      }),
      0,
    );
    await stand.append(stepOf(9), 0);
    const { chain, epoch } = await stand.takeOver();
    expect(stand.behavior.total).toBe(9);
    expect(epoch).toBe(1);
    expect(chain).toMatchObject({ revision: 3, steps: 2, at: 9 });
    expect(chain.nextSeq.get("out")).toBe(3);
    expect(stand.lane.cursor).toEqual(wholly(7));
    expect(stand.lane.durable).toEqual(wholly(7));
    expect(stand.lane.progress).toMatchObject({ watermark: 55, idle: true, mark: { epoch: 4, n: 2 } });
  });

  it("folds what another owner wrote meanwhile and tries again", async () => {
    const stand = new Stand();
    await stand.takeOver();
    const competing = stand.storage.open(stand.env);
    let raced = false;
    const racing = outrun(stand.log, async () => {
      if (raced) return;
      raced = true;
      const event = sampleEvent({
        type: STEP,
        schemaVersion: STEP_SCHEMA,
        payload: encodeStep(stepOf(77)),
        context: { epoch: 0 },
      });
      await competing.append(to(STREAM, event));
    });
    const { epoch } = await stand.takeOver("host", racing);
    expect(stand.behavior.total).toBe(77);
    expect(epoch).toBe(1);
    expect(stand.owners).toEqual([0, 1]);
  });

  it("gives every one of several competing owners an epoch of its own, and the log to the last", async () => {
    const stand = new Stand();
    const recovered = await Promise.all(
      ["a", "b", "c"].map((host) => stand.takeOver(host, stand.storage.open(stand.env))),
    );
    const epochs = recovered.map((r) => r.epoch);
    expect(new Set(epochs).size).toBe(3);
    expect(stand.owners).toEqual([0, 1, 2]);
    expect(stand.storage.events.at(-1)?.context.epoch).toBe(Math.max(...epochs));
  });

  it("succeeds however often the answer to its own event is lost (R17)", async () => {
    const stand = new Stand();
    Object.assign(stand.storage.faults, { lost: 0.7, wayMs: 5 });
    const taken = stand.takeOver();
    stand.env.timers.after(3000, () => Object.assign(stand.storage.faults, { lost: 0 }));
    const { epoch, chain } = await taken;
    expect(stand.owners.at(-1)).toBe(epoch);
    expect(chain.revision).toBe(stand.storage.events.length - 1);
  });

  it("takes an epoch that another of the same name has appended for that one's (R26)", async () => {
    const stand = new Stand();
    let isFirst = true;
    const append: EventLog["append"] = async (appends) => {
      if (isFirst) await stand.log.append(appends);
      isFirst = false;
      return stand.log.append(appends);
    };
    expect(
      (
        await stand.takeOver(
          "host",
          Object.assign(
            outrun(stand.log, async () => undefined),
            { append },
          ),
        )
      ).epoch,
    ).toBe(1);
    expect(stand.owners).toEqual([0, 1]);
  });

  it("begins to fold again where a prune overtook it", async () => {
    const stand = new Stand();
    await stand.append(stepOf(7), (await stand.takeOver()).epoch);
    let isFirst = true;
    const readStream: EventLog["readStream"] = (stream, options) => {
      if (isFirst) {
        isFirst = false;
        throw new MillraceError("LOG-PRUNED", "rejected", "what was to be read is gone");
      }
      return stand.log.readStream(stream, options);
    };
    const { epoch } = await stand.takeOver(
      "host",
      Object.assign(
        outrun(stand.log, async () => undefined),
        { readStream },
      ),
    );
    expect([epoch, isFirst, stand.behavior.total]).toEqual([1, false, 7]);
  });

  it("gives up when others keep writing", async () => {
    const stand = new Stand();
    const contested = outrun(stand.log, () => stand.log.append(to(STREAM, sampleEvent({ type: "Other" }))));
    await expect(stand.takeOver("host", contested)).rejects.toMatchObject({ code: "NODE-FENCED" });
  });
});

describe("a snapshot at recovery", () => {
  async function withSnapshot(state: StateEvent): Promise<Stand> {
    const stand = new Stand();
    const { chain } = await stand.takeOver();
    await stand.append(stepOf(5), 0);
    chain.fold(stepOf(5));
    chain.revision++;
    await stand.snapshots.write(
      STREAM,
      1,
      SnapshotStore.take({ codeVersion: "code 1", stateVersion: 1, graphRevision: 1 }, chain, state),
      0,
    );
    await stand.append(stepOf(9, { state: [] }), 0);
    return stand;
  }

  it("spares reading what it holds: only the tail is folded onto it", async () => {
    const stand = await withSnapshot({ total: 1000 });
    const { chain } = await stand.takeOver();
    expect(stand.behavior.total).toBe(1000);
    expect(chain).toMatchObject({ steps: 2, revision: 3 });
  });

  it("of other code is ignored, and the whole stream folded", async () => {
    const stand = await withSnapshot({ total: 1000 });
    const { chain } = await stand.takeOver("host", stand.log, "code 2");
    expect(stand.behavior.total).toBe(5);
    expect(chain.steps).toBe(2);
  });
});

describe("output that some lane has not passed", () => {
  const emitted = (port: string, firstSeq: number, count: number, late: readonly LateMark[] = []) => ({
    port,
    firstSeq,
    count,
    late,
    batch: encodeBatch(new RowBatch(Array.from({ length: count }, (_, i) => firstSeq + i))),
  });

  it("is found back to the cursor, oldest first, each step's last with the watermark of its step", async () => {
    const stand = new Stand();
    await stand.takeOver();
    await stand.append(stepOf(1, { emitted: [emitted("out", 0, 2)], out: { watermark: 10, idle: false } }), 0);
    await stand.append(
      stepOf(2, {
        emitted: [emitted("out", 2, 1), emitted("late", 0, 5), emitted("out", 3, 2)],
        out: { watermark: 20, idle: true },
      }),
      0,
    );
    await stand.append(stepOf(3), 0);
    const output = await stand.env.until(unacknowledged(stand.log, STREAM, "out", wholly(1)));
    expect(output.map((o) => [o.firstSeq, o.batch.rows(), o.watermark, o.exact])).toEqual([
      [2, [2], 20, false],
      [3, [3, 4], 20, true],
    ]);
    const part = await stand.env.until(unacknowledged(stand.log, STREAM, "out", wholly(0)));
    expect(part.map((o) => o.firstSeq)).toEqual([0, 2, 3]);
    expect(await stand.env.until(unacknowledged(stand.log, STREAM, "out", wholly(4)))).toEqual([]);
  });

  it("is late where its step says so, whoever reads it again (R19)", async () => {
    const stand = new Stand();
    await stand.takeOver();
    const late = [{ pos: 3, watermark: 12 }];
    const out = { watermark: 20, idle: false };
    await stand.append(stepOf(1, { emitted: [emitted("out", 0, 2), emitted("out", 2, 2, late)], out }), 0);
    const output = await stand.env.until(unacknowledged(stand.log, STREAM, "out", START));
    expect(output.map((one) => one.late)).toEqual([[], late]);
  });
});

it("refuses a step of a version that this code does not know, and owns nothing", async () => {
  const stand = new Stand();
  const { epoch } = await stand.takeOver();
  await stand.append(stepOf(1), epoch);
  const event = sampleEvent({
    type: STEP,
    schemaVersion: STEP_SCHEMA,
    payload: encodeStep(stepOf(2)),
    context: { epoch, graphRevision: 1 },
  });
  await stand.env.until(stand.log.append(to(STREAM, { ...event, schemaVersion: 3 })));
  await expect(stand.takeOver()).rejects.toMatchObject({
    code: "EVENT-SCHEMA",
    message: "Step at position 2 has schema version 3; this code knows 1 to 2",
    place: { stream: STREAM, position: 2 },
  });
  expect(stand.owners).toEqual([epoch]);
});
