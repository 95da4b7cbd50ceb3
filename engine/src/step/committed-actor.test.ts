import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EdgeMeter, type Link } from "../actor/link.ts";
import { ActorMeter } from "../actor/meter.ts";
import { Scheduler } from "../actor/scheduler.ts";
import type { Draft } from "../behavior/committed-behavior.ts";
import { MillraceError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import { decodeBatch } from "../frame/batch-codec.ts";
import { type DeadItem, Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { type Point, START, wholly } from "../frame/point.ts";
import { Mailbox } from "../mailbox/mailbox.ts";
import { sampleEvent, to } from "../testing/sample-events.ts";
import { emptyFrame, sampleFrame } from "../testing/sample-frames.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { SortedMapStore } from "../testing/sorted-map-store.ts";
import { BUG, FLAKY, POISON, Tally } from "../testing/tally.ts";
import { type VirtualEnv, virtualEnv } from "../testing/virtual-env.ts";
import { CommittedActor } from "./committed-actor.ts";
import { LaneCursor } from "./lane-cursor.ts";
import { LatencyWindow } from "./latency-window.ts";
import { Outbox } from "./outbox.ts";
import { takeOver } from "./recovery.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import type { StepChain } from "./step-chain.ts";
import { decodeStep, STEP, type StepRecord } from "./step-record.ts";

const STREAM = "graph/node";

class Stand {
  readonly env: VirtualEnv = virtualEnv("committed actor");
  readonly storage: SimulatedLog;
  readonly scheduler = new Scheduler(this.env);
  readonly mailbox = new Mailbox({}, () => this.actor?.wake());
  readonly meter = new ActorMeter();
  readonly sent: Frame[] = [];
  readonly acknowledged: Point[] = [];
  readonly resumed: Point[] = [];
  readonly failures: unknown[] = [];
  readonly waited: (string | null)[] = [];
  readonly store = new SortedMapStore();
  behavior = new Tally();
  lane: LaneCursor = this.#newLane();
  actor: CommittedActor | undefined;
  chain: StepChain | undefined;

  constructor(appendBytesMax?: number) {
    this.storage = new SimulatedLog({
      env: this.env,
      random: this.env.random.fork("log"),
      ...(appendBytesMax === undefined ? {} : { appendBytesMax }),
    });
  }

  /** A new incarnation, as its runner would start it. */
  async start(
    prepare: (behavior: Tally) => void = () => undefined,
    leavesEarly?: (port: string) => boolean,
  ): Promise<CommittedActor> {
    this.actor?.stop();
    this.behavior = new Tally();
    prepare(this.behavior);
    this.lane = this.#newLane();
    const { env, behavior, lane, scheduler } = this;
    const log = this.storage.open(env);
    const context = {
      principal: "system",
      tenant: "",
      codeVersion: "1",
      graph: "graph",
      graphRevision: 1,
      node: "node",
    };
    const snapshots = new SnapshotStore(this.store, log);
    const shared = { log, stream: STREAM, behavior, lanes: [lane], snapshots };
    const { chain, epoch } = await env.until(takeOver({ ...shared, env, host: "host", context, stateSince: 0 }));
    this.chain = chain;
    lane.number = chain.lanes.get(lane.name)?.number ?? 0;
    const receiver: Link = {
      hasCredit: () => true,
      whenCredit: () => undefined,
      send: (frame) => this.sent.push(frame),
    };
    const outbox = new Outbox({
      name: "node.out",
      scheduler,
      rootPath: 10,
      edges: [{ name: "node -> next", link: receiver, nextPath: new Map([[10, 11]]), meter: new EdgeMeter() }],
      lanes: [11],
      revision: 1,
      epoch,
      drained: () => this.actor?.wake(),
      failed: (error) => this.failures.push(error),
    });
    outbox.restore([], chain.nextSeq.get("out") ?? 0, chain.out.watermark, chain.out.idle);
    const actor = new CommittedActor({
      ...shared,
      node: "node",
      scheduler,
      mailbox: this.mailbox,
      meter: this.meter,
      latency: new LatencyWindow(env.clock),
      outboxes: new Map([["out", outbox]]),
      context: { ...context, epoch },
      ...(leavesEarly === undefined ? {} : { leavesEarly }),
      chain,
      failed: (error) => this.failures.push(error),
      progressed: () => undefined,
      waiting: (error) => this.waited.push(error instanceof MillraceError ? error.code : null),
    });
    this.actor = actor;
    actor.start();
    return actor;
  }

  async take(...frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) this.mailbox.push(frame);
    await this.env.advance(5000);
  }

  get steps(): StepRecord[] {
    return this.storage.events.filter((e) => e.type === STEP).map((e) => decodeStep(e.payload));
  }

  get emitted(): Json[] {
    return this.steps.flatMap((step) => step.emitted.flatMap((e) => decodeBatch(e.batch).rows()));
  }

  get dead(): (readonly [pos: number, code: string, input: Json | undefined])[] {
    return this.steps.flatMap((step) => step.dead.map((d) => [d.pos, d.error.code, d.input] as const));
  }

  #newLane(): LaneCursor {
    const origin = {
      acknowledge: (_path: number, cursor: Point) => void this.acknowledged.push(cursor),
      resume: (_path: number, cursor: Point) => void this.resumed.push(cursor),
    };
    return new LaneCursor({ name: "src#0>node", path: 0, input: 0, feedback: false, origin });
  }
}

describe("a committed actor", () => {
  it("commits state, outputs and positions in one append, and only then sends and acknowledges (R16)", async () => {
    const stand = new Stand();
    await stand.start();
    stand.storage.faults.commitMs = 100;
    stand.mailbox.push(sampleFrame(0, [1, 2, 3]));
    await stand.env.advance(1);
    expect(stand.behavior.total).toBe(6);
    expect([stand.sent.length, stand.acknowledged.length, stand.actor?.stepsInFlight]).toEqual([0, 0, 1]);
    await stand.env.advance(500);
    expect(stand.steps).toHaveLength(1);
    expect(stand.steps[0]).toMatchObject({ state: [{ total: 6 }], emitted: [{ port: "out", firstSeq: 0, count: 3 }] });
    expect(stand.sent.flatMap((f) => f.batch.rows())).toEqual([1, 3, 6]);
    expect(stand.acknowledged.at(-1)).toEqual(wholly(2));
    expect(stand.meter).toMatchObject({ in: 3, out: 3, steps: 1 });
  });

  it("sends before its step is durable where it may, and acknowledges after that (R16)", async () => {
    const stand = new Stand();
    await stand.start(undefined, (port) => port === "out");
    stand.storage.faults.commitMs = 100;
    stand.mailbox.push(sampleFrame(0, [1, 2, 3]));
    await stand.env.advance(1);
    expect(stand.sent.flatMap((f) => f.batch.rows())).toEqual([1, 3, 6]);
    expect(stand.acknowledged).toEqual([]);
    await stand.env.advance(500);
    expect(stand.sent.flatMap((f) => f.batch.rows())).toEqual([1, 3, 6]);
    expect(stand.acknowledged.at(-1)).toEqual(wholly(2));
  });

  it("joins waiting frames into one step, up to its size", async () => {
    const stand = new Stand();
    await stand.start((behavior) => {
      behavior.stepMessagesMax = 4;
    });
    await stand.take(...[0, 2, 4, 6].map((first) => sampleFrame(first, [1, 1])));
    expect(stand.steps.map((step) => step.inputs.map((i) => i.to.pos))).toEqual([
      [1, 3],
      [5, 7],
    ]);
  });

  it("drops repeats, acknowledges them again, and asks for what is missing (R7, R8)", async () => {
    const stand = new Stand();
    await stand.start();
    stand.resumed.length = 0;
    await stand.take(sampleFrame(0, [1, 2]));
    stand.acknowledged.length = 0;
    await stand.take(sampleFrame(0, [1, 2]), sampleFrame(4, [9]));
    expect(stand.behavior.total).toBe(3);
    expect(stand.acknowledged).toEqual([wholly(1)]);
    expect(stand.resumed).toEqual([wholly(1)]);
  });

  it("finds everything again in a new incarnation: the chain that was lived is the chain that is folded", async () => {
    const row = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(POISON));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 4 }), { minLength: 1, maxLength: 6 }), async (batches) => {
        const stand = new Stand();
        await stand.start();
        let first = 0;
        for (const rows of batches) {
          const head = { watermark: first * 10 };
          await stand.take(rows.length === 0 ? emptyFrame(first - 1, first, head) : sampleFrame(first, rows, head));
          first += Math.max(1, rows.length);
        }
        const { chain: lived, behavior, lane } = stand;
        await stand.start();
        const good = batches.flat().filter((r) => r !== POISON) as number[];
        expect(behavior.total).toBe(good.reduce((sum, n) => sum + n, 0));
        expect(stand.behavior.total).toBe(behavior.total);
        expect(stand.dead.map(([pos]) => pos)).toHaveLength(batches.flat().length - good.length);
        expect(stand.lane.cursor).toEqual(lane.cursor);
        expect(stand.lane.progress).toEqual(lane.progress);
        expect(stand.chain?.lanes).toEqual(lived?.lanes);
        expect(stand.chain?.nextSeq).toEqual(lived?.nextSeq);
        expect(stand.chain).toMatchObject({
          steps: lived?.steps,
          at: lived?.at,
          out: lived?.out,
          watermark: lived?.watermark,
        });
      }),
      { numRuns: 40 },
    );
  });

  it("commits progress without effect after a while, and lets it ride in the next step before that (R18)", async () => {
    const stand = new Stand();
    await stand.start();
    stand.mailbox.push(emptyFrame(-1, 50));
    await stand.env.advance(100);
    expect(stand.steps).toHaveLength(0);
    stand.mailbox.push(sampleFrame(51, [1]));
    await stand.env.advance(100);
    expect(stand.steps.map((step) => step.inputs.map((i) => [i.from.pos, i.to.pos]))).toEqual([
      [
        [-1, 50],
        [50, 51],
      ],
    ]);
    stand.mailbox.push(emptyFrame(51, 90));
    await stand.env.advance(1000);
    expect(stand.steps).toHaveLength(2);
    expect(stand.acknowledged.at(-1)).toEqual(wholly(90));
  });

  it("advances its behavior to the lanes' watermark after the messages of the frame", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.take(sampleFrame(0, [1], { watermark: 100 }), sampleFrame(1, [1], { watermark: 90 }));
    expect(stand.behavior.advances).toEqual([100]);
    expect(stand.actor?.watermark).toBe(100);
  });

  it("advances as far when a lane falls silent in the same step as after it", async () => {
    const silent = emptyFrame(0, 0, { watermark: 100, idle: true, mark: { epoch: 0, n: 1 } });
    const advances = async (...parts: readonly (readonly Frame[])[]): Promise<readonly number[]> => {
      const stand = new Stand();
      await stand.start();
      for (const frames of parts) await stand.take(...frames);
      return stand.behavior.advances;
    };
    const said = sampleFrame(0, [1], { watermark: 100 });
    expect(await advances([said], [silent])).toEqual([100]);
    expect(await advances([said, silent])).toEqual([100]);
  });

  it("has a tick that does not fall when the wall clock does (R13)", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.take(sampleFrame(0, [1]));
    stand.env.jumpClock(-3_600_000);
    await stand.take(sampleFrame(1, [1]));
    const [first, second] = stand.steps as [StepRecord, StepRecord];
    expect(second.at).toBeGreaterThanOrEqual(first.at);
  });

  it("drops frames of another revision and of lanes it does not have", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.take(sampleFrame(0, [1], { revision: 2 }), sampleFrame(0, [1], { path: 99 }));
    expect(stand.steps).toEqual([]);
  });
});

describe("a message that fails in a committed actor", () => {
  it("is found by halving the frame and becomes a dead letter; no other is counted twice or lost (R14)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom<Json>(1, 2, POISON), { minLength: 1, maxLength: 12 }), async (rows) => {
        const stand = new Stand();
        await stand.start();
        await stand.take(sampleFrame(0, rows));
        const good = rows.filter((row) => row !== POISON) as number[];
        const totals = good.map((_, i) => good.slice(0, i + 1).reduce((sum, n) => sum + n, 0));
        expect(stand.emitted).toEqual(totals);
        expect(stand.dead).toEqual(rows.flatMap((row, pos) => (row === POISON ? [[pos, "UNEXPECTED", POISON]] : [])));
        expect(stand.lane.durable).toEqual(wholly(rows.length - 1));
        expect(stand.failures).toEqual([]);
        expect(stand.meter).toMatchObject({ in: rows.length, out: totals.length, dead: stand.dead.length });
      }),
      { numRuns: 40 },
    );
  });

  it("for a transient reason is tried again until it succeeds, in its place, and the node says that it waits", async () => {
    const stand = new Stand();
    await stand.start((behavior) => {
      behavior.isDown = true;
    });
    await stand.take(sampleFrame(0, [1, FLAKY]), sampleFrame(2, [2]));
    expect(stand.steps).toEqual([]);
    expect(stand.waited.at(-1)).toBe("SINK-FAILED");
    stand.behavior.isDown = false;
    await stand.env.advance(5000);
    expect(stand.emitted).toEqual([1, 1, 3]);
    expect(stand.dead).toEqual([]);
    expect(stand.waited.at(-1)).toBeNull();
  });

  it("for a transient reason that says when is not tried again before, though the usual waits are shorter", async () => {
    const stand = new Stand();
    await stand.start((behavior) => {
      behavior.isDown = true;
      behavior.retryAfterMs = 60_000;
    });
    await stand.take(sampleFrame(0, [1, FLAKY]));
    stand.behavior.isDown = false;
    await stand.env.advance(54_000);
    expect(stand.emitted).toEqual([]);
    await stand.env.advance(2000);
    expect(stand.emitted).toEqual([1, 1]);
  });

  it("for a bug of ours ends the incarnation and loses nothing", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.take(sampleFrame(0, [1]), sampleFrame(1, [BUG]));
    expect(stand.failures).toEqual([expect.objectContaining({ kind: "programmer" })]);
    await stand.take(sampleFrame(2, [5]));
    expect(stand.lane.durable.pos).toBeLessThanOrEqual(0);
    expect(stand.behavior.takes.flat()).not.toContain(5);
  });

  it("carried in from a pure node is written down with the step (R23)", async () => {
    const stand = new Stand();
    await stand.start();
    const { head, batch, positions } = sampleFrame(0, [1]);
    const dead = {
      pos: 1,
      ord: 0,
      node: "filter",
      attempts: 1,
      error: { code: "X", kind: "terminal", message: "" },
      input: "i",
    } as const;
    await stand.take(new Frame({ ...head, to: wholly(1) }, batch, positions, [dead]));
    expect(stand.steps[0]?.dead).toEqual([expect.objectContaining({ node: "filter", lane: "src#0>node", pos: 1 })]);
    expect(stand.steps[0]?.inputs[0]?.messages).toBe(2);
  });
});

describe("a step that is more than the log takes at once", () => {
  const big = (letter: string): string => letter.repeat(9000);

  it("is made of fewer messages", async () => {
    const stand = new Stand(40_000);
    await stand.start((behavior) => {
      behavior.take = (draft, slice) => draft.emit("out", slice.batch);
    });
    const rows = [..."abcdefgh"].map(big);
    await stand.take(sampleFrame(0, rows));
    expect(stand.emitted).toEqual(rows);
    expect(stand.steps.length).toBeGreaterThan(1);
    expect(stand.dead).toEqual([]);
  });

  it("advances its behavior again for the part that reaches the watermark", async () => {
    const stand = new Stand(40_000);
    await stand.start((behavior) => {
      behavior.take = (draft, slice) => draft.emit("out", slice.batch);
      behavior.advance = (draft, watermark) => draft.change({ total: watermark });
    });
    await stand.take(sampleFrame(0, [..."abcdefgh"].map(big), { watermark: 100 }));
    expect(stand.steps.flatMap((step) => step.state)).toEqual([{ total: 100 }]);
    expect(stand.steps.at(-1)?.state).toHaveLength(1);
  });

  it("for a single message makes it a dead letter, without its input where that is too large itself", async () => {
    const stand = new Stand(40_000);
    await stand.start((behavior) => {
      behavior.take = (draft, slice) => {
        for (const row of slice.batch.rows()) draft.emit("out", new RowBatch(Array(row === "x" ? 1 : 9).fill(row)));
      };
    });
    await stand.take(sampleFrame(0, ["x", "y".repeat(9000), "z".repeat(20_000)]));
    expect(stand.emitted).toEqual(["x"]);
    expect(stand.dead).toEqual([
      [1, "LOG-TOO-LARGE", "y".repeat(9000)],
      [2, "LOG-TOO-LARGE", undefined],
    ]);
    expect(stand.failures).toEqual([]);
  });

  it("because of dead letters carried in is made of fewer of them, and no message that is well pays for it", async () => {
    const stand = new Stand(40_000);
    await stand.start();
    await stand.take(burdened(sampleFrame(0, [1]), [..."abcdefgh"].map(big)));
    expect(stand.dead).toEqual([..."abcdefgh"].map((letter, i) => [i + 1, "X", big(letter)]));
    expect(stand.behavior.total).toBe(1);
    expect([stand.failures, stand.lane.durable]).toEqual([[], wholly(8)]);
  });

  it("because of one dead letter carried in writes it down without its input", async () => {
    const stand = new Stand(40_000);
    await stand.start();
    await stand.take(burdened(sampleFrame(0, [1]), ["small", "z".repeat(50_000)]), sampleFrame(3, [2]));
    expect(stand.dead).toEqual([
      [1, "X", "small"],
      [2, "X", undefined],
    ]);
    expect([stand.failures, stand.behavior.total]).toEqual([[], 3]);
  });
});

describe("a message that is nested too deeply to be written", () => {
  it("becomes a dead letter without its input, whichever node gives up on it", async () => {
    const stand = new Stand();
    await stand.start((behavior) => {
      behavior.take = (draft, slice) => draft.emit("out", slice.batch);
    });
    await stand.take(sampleFrame(0, ["a", nested(20_000), "b"]), burdened(sampleFrame(3, ["c"]), [nested(20_000)]));
    expect(stand.emitted).toEqual(["a", "b", "c"]);
    expect(stand.dead).toEqual([
      [1, "MSG-SIZE", undefined],
      [4, "X", undefined],
    ]);
    expect(stand.failures).toEqual([]);
  });
});

/** A frame behind whose messages lie dead letters of another node with these inputs. */
function burdened({ head, batch, positions }: Frame, inputs: readonly Json[]): Frame {
  const { pos } = head.to;
  const dead = inputs.map((input, i): DeadItem => {
    const error = { code: "X", kind: "terminal", message: "" } as const;
    return { pos: pos + 1 + i, ord: 0, node: "filter", attempts: 1, error, input };
  });
  return new Frame({ ...head, to: wholly(pos + inputs.length) }, batch, positions, dead);
}

function nested(depth: number): Json {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

describe("a request for a step without inputs", () => {
  it("resolves with its log position once it is durable", async () => {
    const stand = new Stand();
    const actor = await stand.start();
    const position = await stand.env.until(actor.request((draft) => draft.emit("out", new RowBatch(["tick"]))));
    expect(stand.storage.events[position]?.type).toBe(STEP);
    expect(stand.emitted).toEqual(["tick"]);
  });

  it("rejects with what it threw and leaves no trace", async () => {
    const stand = new Stand();
    const actor = await stand.start();
    const failing = actor.request((draft) => {
      draft.change({ total: 99 });
      throw new Error("no");
    });
    await expect(stand.env.until(failing)).rejects.toThrow("no");
    await stand.env.advance(1000);
    expect(stand.steps).toEqual([]);
  });

  it("rejects when the incarnation ends, whether it waits, runs or is on its way to the disk", async () => {
    const stand = new Stand();
    const actor = await stand.start();
    stand.storage.faults.commitMs = 1000;
    const flying = actor.request((draft) => draft.change({ total: 1 }));
    await stand.env.advance(1);
    const running = actor.request(() => new Promise(() => undefined));
    await stand.env.advance(1);
    const waiting = actor.request(() => undefined);
    actor.stop();
    const late = actor.request(() => undefined);
    const outcomes = await stand.env.until(Promise.allSettled([flying, running, waiting, late]));
    expect(outcomes).toEqual(
      Array(4).fill({ status: "rejected", reason: expect.objectContaining({ code: "NODE-FENCED" }) }),
    );
  });

  it("waits while the node is paused", async () => {
    const stand = new Stand();
    const actor = await stand.start();
    actor.pause();
    const request = actor.request((draft) => draft.change({ total: 1 }));
    await stand.env.advance(1000);
    expect(stand.steps).toEqual([]);
    actor.unpause();
    await stand.env.until(request);
    expect(stand.steps).toHaveLength(1);
  });
});

describe("a committed actor whose stream has another owner", () => {
  it("is fenced: it publishes nothing more and says so (R26)", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.take(sampleFrame(0, [1]));
    await stand.env.until(stand.storage.open(stand.env).append(to(STREAM, sampleEvent())));
    const sent = stand.sent.filter((f) => f.n > 0).length;
    await stand.take(sampleFrame(1, [2]));
    expect(stand.failures).toEqual([expect.objectContaining({ code: "NODE-FENCED" })]);
    expect(stand.sent.filter((f) => f.n > 0)).toHaveLength(sent);
    expect(stand.lane.durable).toEqual(wholly(0));
  });
});

describe("a snapshot of a committed actor", () => {
  it("is taken every 4096 steps, and the next incarnation folds only what came after it", async () => {
    const stand = new Stand();
    const actor = await stand.start();
    const count = (draft: Draft): void => {
      stand.behavior.total++;
      draft.change({ total: stand.behavior.total });
    };
    await stand.env.until(Promise.all(Array.from({ length: 4100 }, () => actor.request(count))));
    expect(stand.store.count("snapshots")).toBe(1);
    const lived = stand.chain;
    let folded = 0;
    await stand.start((behavior) => {
      const fold = behavior.fold.bind(behavior);
      behavior.restore = (state) => fold(state);
      behavior.fold = (event) => {
        folded++;
        fold(event);
      };
    });
    expect(folded).toBe(4);
    expect(stand.behavior.total).toBe(4100);
    expect(stand.chain).toMatchObject({ steps: 4100, at: lived?.at });
  });
});

describe("the start of a committed actor", () => {
  it("asks every origin for what follows its cursor", async () => {
    const stand = new Stand();
    await stand.start();
    expect(stand.resumed).toEqual([START]);
    await stand.take(sampleFrame(0, [1]));
    await stand.start();
    expect(stand.resumed.at(-1)).toEqual(wholly(0));
  });
});
