import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EdgeMeter, type Link, type OutEdge } from "../actor/link.ts";
import { Scheduler } from "../actor/scheduler.ts";
import { MillraceError } from "../errors.ts";
import { START_ANCHOR } from "../frame/anchor.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Frame, LateMark } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { comparePoints, type Point, START, wholly } from "../frame/point.ts";
import { referenceValue } from "../payload/payload-value.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { LaneCursor } from "./lane-cursor.ts";
import { Outbox, type OutboxOptions } from "./outbox.ts";

const TRACE = { causationId: new Uint8Array(16), correlationId: new Uint8Array(16) };

/** A committed receiver of one lane: takes, commits when told to, loses frames when told to. */
class Receiver implements Link {
  readonly cursor: LaneCursor;
  readonly taken: Json[] = [];
  readonly seen: Frame[] = [];
  isFull = false;
  loses: (frame: Frame) => boolean = () => false;
  commits = true;
  #wakes: (() => void)[] = [];

  constructor(path: number, stand: Stand) {
    const origin = {
      acknowledge: (...ack: Parameters<Outbox["acknowledge"]>) => stand.outbox.acknowledge(...ack),
      resume: (...from: Parameters<Outbox["resume"]>) => stand.outbox.resume(...from),
    };
    this.cursor = new LaneCursor({ name: `lane ${path}`, path, input: 0, feedback: false, origin });
  }

  hasCredit(): boolean {
    return !this.isFull;
  }

  whenCredit(_path: number, wake: () => void): void {
    this.#wakes.push(wake);
  }

  send(frame: Frame): void {
    this.seen.push(frame);
    if (this.loses(frame)) return;
    const admission = this.cursor.admit(frame);
    if (admission.verdict === "gap") this.cursor.ask(frame);
    if (admission.verdict !== "take") return;
    this.cursor.admitted(admission.frame.head);
    this.cursor.apply(admission.frame.head);
    this.taken.push(...admission.frame.batch.rows());
    if (this.commits) this.commit();
  }

  commit(): void {
    this.cursor.settle(this.cursor.cursor, this.cursor.progress.anchor);
  }

  drain(): void {
    this.isFull = false;
    for (const wake of this.#wakes.splice(0)) wake();
  }

  get marks(): number[] {
    return this.seen.flatMap((frame) => (frame.head.mark === null ? [] : [frame.head.mark.n]));
  }
}

class Stand {
  readonly env = virtualEnv("outbox");
  readonly receivers: readonly Receiver[];
  readonly failures: unknown[] = [];
  outbox: Outbox;
  drained = 0;
  seq = 0;
  readonly #scheduler = new Scheduler(this.env);
  readonly #edges: readonly OutEdge[];

  constructor(lanes = 1, options: Partial<OutboxOptions> = {}) {
    this.receivers = Array.from({ length: lanes }, (_, i) => new Receiver(i + 1, this));
    this.#edges = this.receivers.map((link, i) => ({
      name: `out -> ${i}`,
      link,
      nextPath: new Map([[0, i + 1]]),
      meter: new EdgeMeter(),
    }));
    this.outbox = this.incarnation(options);
  }

  /** A new owner's outbox, which nothing was restored into yet. */
  incarnation(options: Partial<OutboxOptions> = {}): Outbox {
    this.outbox = new Outbox({
      name: "node.out",
      scheduler: this.#scheduler,
      rootPath: 0,
      edges: this.#edges,
      lanes: this.receivers.map((_, i) => i + 1),
      revision: 1,
      epoch: 0,
      drained: () => this.drained++,
      failed: (error) => this.failures.push(error),
      ...options,
    });
    return this.outbox;
  }

  get only(): Receiver {
    return this.receivers[0] as Receiver;
  }

  emit(rows: readonly Json[], watermark = Number.NEGATIVE_INFINITY, late: readonly LateMark[] = []): void {
    const batch = new RowBatch(rows);
    this.outbox.emit({ firstSeq: this.seq, batch, late, watermark, idle: false, exact: true }, TRACE);
    this.seq += rows.length;
  }
}

describe("an outbox", () => {
  it("sends what was emitted before its start only after it, then everything in order with dense positions", async () => {
    const stand = new Stand();
    stand.emit(["a", "b"]);
    await stand.env.settle();
    expect(stand.only.seen).toEqual([]);
    stand.outbox.start();
    stand.emit(["c"]);
    await stand.env.settle();
    expect(stand.only.taken).toEqual(["a", "b", "c"]);
    expect(stand.only.seen.map((f) => [f.head.from, f.head.to])).toEqual([
      [START, wholly(1)],
      [wholly(1), wholly(2)],
    ]);
    expect(stand.outbox.isDrained).toBe(true);
  });

  it("keeps what an edge has no credit for, stops its node's intake, and goes on", async () => {
    const stand = new Stand(1, { backlogMax: 4 });
    stand.outbox.start();
    stand.only.isFull = true;
    stand.emit(["a", "b", "c"]);
    await stand.env.settle();
    expect([stand.outbox.hasRoom, stand.only.taken]).toEqual([true, []]);
    stand.emit(["d"]);
    expect(stand.outbox.hasRoom).toBe(false);
    stand.drained = 0;
    stand.only.drain();
    await stand.env.settle();
    expect(stand.only.taken).toEqual(["a", "b", "c", "d"]);
    expect(stand.outbox.hasRoom).toBe(true);
    expect(stand.drained).toBeGreaterThan(0);
  });

  it("stops its node's intake while payloads of what is not durable take too much room, and goes on", async () => {
    const payloads = { isUsed: true, retain: () => undefined, release: () => undefined, keep: () => undefined };
    const stand = new Stand(1, { payloads, payloadBytesMax: 100 });
    stand.outbox.start();
    stand.only.commits = false;
    const payload = referenceValue({ sha256: "a".repeat(64), format: "raw", length: 60 });
    const rooms: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      stand.emit([payload]);
      await stand.env.settle();
      rooms.push(stand.outbox.hasRoom);
    }
    stand.drained = 0;
    stand.only.commit();
    expect([rooms, stand.outbox.hasRoom, stand.drained]).toEqual([[true, false], true, 1]);
  });

  it("is drained only when every lane has durably passed everything", async () => {
    const stand = new Stand(2);
    const [first, second] = stand.receivers as [Receiver, Receiver];
    second.commits = false;
    stand.outbox.start();
    stand.emit(["a"]);
    await stand.env.settle();
    expect([first.taken, second.taken]).toEqual([["a"], ["a"]]);
    expect(stand.outbox.isDrained).toBe(false);
    second.commit();
    expect(stand.outbox.isDrained).toBe(true);
  });

  it("has nothing to do where nobody listens", async () => {
    const stand = new Stand(0);
    stand.outbox.start();
    stand.emit(["a"]);
    await stand.env.idle();
    expect([stand.outbox.isConnected, stand.outbox.isDrained, stand.outbox.hasRoom]).toEqual([false, true, true]);
  });
});

describe("a receiver that misses something", () => {
  it("gets it again as a new transmission, and everything once (R7, R11)", async () => {
    const stand = new Stand();
    stand.outbox.start();
    stand.only.loses = (frame) => frame.batch.rows().includes("b") && frame.head.generation === 0;
    for (const row of ["a", "b", "c"]) stand.emit([row]);
    await stand.env.settle();
    expect(stand.only.taken).toEqual(["a", "b", "c"]);
    const resent = stand.only.seen.filter((f) => f.batch.rows().includes("b"));
    expect(resent.map((f) => f.head.generation)).toEqual([0, 1]);
  });

  it("learns from a probe that it lost the tail (R10)", async () => {
    const stand = new Stand(1, { probeAfterMs: 100 });
    stand.outbox.start();
    stand.only.loses = () => true;
    stand.emit(["a"]);
    await stand.env.advance(50);
    stand.only.loses = () => false;
    expect(stand.only.taken).toEqual([]);
    await stand.env.advance(300);
    expect(stand.only.taken).toEqual(["a"]);
    await stand.env.idle();
    expect(stand.outbox.isDrained).toBe(true);
  });

  it("does not disturb the others: they trim what comes twice", async () => {
    const stand = new Stand(2);
    const [first, second] = stand.receivers as [Receiver, Receiver];
    stand.outbox.start();
    first.loses = (frame) => frame.n > 0 && frame.head.generation === 0;
    for (const row of ["a", "b", "c"]) stand.emit([row]);
    await stand.env.advance(5000);
    expect([first.taken, second.taken]).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c"],
    ]);
  });

  it("is refused with the exact range when it asks for what was pruned (EDGE-GAP)", async () => {
    const stand = new Stand();
    stand.incarnation();
    stand.outbox.restore([], 10, Number.NEGATIVE_INFINITY, false);
    stand.outbox.start();
    stand.outbox.resume(1, wholly(3), { pos: 3, watermark: 0 });
    const [error] = stand.failures as [MillraceError];
    expect(error).toBeInstanceOf(MillraceError);
    expect(error).toMatchObject({ code: "EDGE-GAP", details: { path: 1, after: wholly(3), through: wholly(9) } });
  });

  it("that asks late, when it has durably passed the place, costs nothing", async () => {
    const stand = new Stand();
    stand.outbox.start();
    stand.emit(["a", "b"]);
    await stand.env.settle();
    stand.outbox.resume(1, START, { pos: -1, watermark: 0 });
    await stand.env.settle();
    expect(stand.failures).toEqual([]);
    expect(stand.only.taken).toEqual(["a", "b"]);
  });

  it("of several decides by being the slowest what is kept (R21)", async () => {
    const stand = new Stand(2);
    const slow = stand.receivers[1] as Receiver;
    slow.commits = false;
    stand.outbox.start();
    for (const row of ["a", "b", "c"]) stand.emit([row]);
    await stand.env.settle();
    stand.outbox.resume(2, START, { pos: -1, watermark: 0 });
    await stand.env.settle();
    expect(stand.failures).toEqual([]);
    expect(slow.seen.filter((f) => f.n > 0).length).toBe(6);
  });
});

describe("the room of an outbox", () => {
  it("is that of what waits to be sent again, too", async () => {
    const stand = new Stand(1, { backlogMax: 3 });
    stand.only.commits = false;
    stand.outbox.start();
    stand.emit(["a", "b"]);
    await stand.env.settle();
    stand.only.isFull = true;
    stand.outbox.resume(1, START, { pos: -1, watermark: 0 });
    expect(stand.outbox.hasRoom).toBe(true);
    stand.emit(["c"]);
    expect(stand.outbox.hasRoom).toBe(false);
    stand.only.drain();
    await stand.env.settle();
    expect(stand.outbox.hasRoom).toBe(true);
  });
});

describe("a lossy way to several receivers", () => {
  it("brings everything to each of them once and in order in the end", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 12 }),
        fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
        async (lanes, sizes, losses) => {
          const stand = new Stand(lanes, { probeAfterMs: 50 });
          let sent = 0;
          for (const receiver of stand.receivers) receiver.loses = () => losses[sent++] ?? false;
          stand.outbox.start();
          for (const size of sizes) {
            stand.emit(Array.from({ length: size }, (_, i) => stand.seq + i));
            await stand.env.advance(stand.env.random.below(40));
          }
          await stand.env.idle();
          const all = Array.from({ length: stand.seq }, (_, i) => i);
          for (const receiver of stand.receivers) expect(receiver.taken).toEqual(all);
          expect(stand.outbox.isDrained).toBe(true);
          expect(stand.failures).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("marks of an outbox (R15)", () => {
  it("tell a watermark that moved without output, after the output before it", async () => {
    const stand = new Stand();
    stand.outbox.start();
    stand.only.isFull = true;
    stand.emit(["a"], 5);
    stand.outbox.progress(9, false);
    await stand.env.settle();
    expect(stand.only.marks).toEqual([]);
    stand.only.drain();
    await stand.env.settle();
    expect(stand.only.cursor.progress.watermark).toBe(9);
    expect(stand.only.seen.map((f) => f.head.watermark)).toEqual([5, 9]);
  });

  it("are repeated until every lane has confirmed them, and then no more", async () => {
    const stand = new Stand(1, { probeAfterMs: 100 });
    stand.outbox.start();
    stand.only.loses = (frame) => frame.head.mark !== null;
    stand.outbox.progress(9, true);
    await stand.env.advance(1000);
    expect(stand.outbox.isDrained).toBe(false);
    stand.only.loses = () => false;
    await stand.env.advance(200);
    expect(stand.only.cursor.progress).toMatchObject({ watermark: 9, idle: true });
    expect(stand.outbox.isDrained).toBe(true);
    const seen = stand.only.seen.length;
    expect(new Set(stand.only.marks)).toEqual(new Set([1]));
    await stand.env.idle();
    expect(stand.only.seen).toHaveLength(seen);
  });

  it("are not sent where nothing changed", async () => {
    const stand = new Stand();
    stand.outbox.start();
    stand.outbox.progress(Number.NEGATIVE_INFINITY, false);
    await stand.env.settle();
    expect(stand.only.seen).toEqual([]);
  });
});

describe("an outbox that is restored", () => {
  it("sends what some lane has not passed, each frame with its own watermark, then goes on where it was", async () => {
    const stand = new Stand();
    stand.only.cursor.recover(wholly(1), { watermark: 10, idle: false, mark: null, anchor: { pos: 1, watermark: 10 } });
    const outbox = stand.incarnation({ epoch: 7 });
    outbox.seed(1, wholly(1), { pos: 1, watermark: 10 });
    expect(outbox.neededFrom).toEqual(wholly(1));
    const output = (firstSeq: number, watermark: number) => ({
      firstSeq,
      batch: new RowBatch([firstSeq]),
      late: [],
      watermark,
      idle: false,
      exact: true,
    });
    outbox.restore([output(2, 20), output(3, 30)], 4, 30, true);
    outbox.start();
    stand.seq = 4;
    await stand.env.settle();
    stand.emit([4], 40);
    await stand.env.settle();
    expect(stand.only.taken).toEqual([2, 3, 4]);
    expect(stand.only.seen.map((f) => [f.head.watermark, f.head.mark?.n ?? null, f.head.idle])).toEqual([
      [20, null, false],
      [30, null, false],
      [30, 1, true],
      [40, null, false],
    ]);
    expect(new Set(stand.only.seen.map((f) => f.head.epoch))).toEqual(new Set([7]));
    expect(outbox.end).toEqual({ pos: 4, watermark: 40 });
  });

  it("says of the same messages that they are late in every transmission, and in the next incarnation (R19)", async () => {
    const stand = new Stand();
    stand.outbox.start();
    stand.only.commits = false;
    const late = [{ pos: 1, watermark: 10 }];
    stand.emit(["a", "b"], 20, late);
    await stand.env.settle();
    stand.outbox.resume(1, START, START_ANCHOR);
    await stand.env.settle();
    const outbox = stand.incarnation({ epoch: 1 });
    const output = { firstSeq: 0, batch: new RowBatch(["a", "b"]), late, watermark: 20, idle: false, exact: true };
    outbox.restore([output], 2, 20, false);
    outbox.start();
    await stand.env.settle();
    outbox.resume(1, START, START_ANCHOR);
    await stand.env.settle();
    const sent = stand.only.seen.filter(({ n }) => n > 0);
    expect(sent.map((frame) => [frame.head.epoch, frame.head.generation, frame.late])).toEqual([
      [0, 0, late],
      [0, 1, late],
      [1, 0, late],
      [1, 1, late],
    ]);
  });

  it("does not let the first of two outputs of one step carry the watermark of both (R19)", async () => {
    const stand = new Stand();
    stand.outbox.start();
    const batch = new RowBatch(["x"]);
    stand.outbox.emit({ firstSeq: 0, batch, late: [], watermark: 50, idle: false, exact: false }, TRACE);
    await stand.env.settle();
    expect(stand.only.cursor.progress.watermark).toBe(Number.NEGATIVE_INFINITY);
    stand.outbox.emit({ firstSeq: 1, batch, late: [], watermark: 50, idle: false, exact: true }, TRACE);
    await stand.env.settle();
    expect(stand.only.cursor.progress.watermark).toBe(50);
  });

  it("never sends anything after it was stopped", async () => {
    const stand = new Stand(1, { probeAfterMs: 10 });
    stand.outbox.start();
    stand.only.loses = () => true;
    stand.emit(["a"]);
    await stand.env.settle();
    stand.outbox.stop();
    const seen = stand.only.seen.length;
    stand.outbox.resume(1, START as Point, { pos: -1, watermark: 0 });
    stand.emit(["b"]);
    await stand.env.idle();
    expect(stand.only.seen).toHaveLength(seen);
    expect(comparePoints(stand.only.cursor.cursor, START)).toBe(0);
  });
});
