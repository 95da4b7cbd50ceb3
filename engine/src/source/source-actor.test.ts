import { describe, expect, it } from "vitest";
import { EdgeMeter, type Link } from "../actor/link.ts";
import { ActorMeter } from "../actor/meter.ts";
import { engineError, MillraceError } from "../errors.ts";
import type { Anchor } from "../frame/anchor.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { referenceValue } from "../payload/payload-value.ts";
import { LaneCursor, START_PROGRESS } from "../step/lane-cursor.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { sleep } from "../time/clock.ts";
import { SourceActor, type SourceActorOptions } from "./source-actor.ts";
import type { RejectedInput, SourceBatch, SourceConnector, SourceReader } from "./source-connector.ts";

const BAD = "bad";

/** A list that grows, as a source: position = index. Rows called `bad` are rejected. */
class ListSource implements SourceConnector {
  readonly capabilities = { replay: true, ordered: true, bounded: true };
  readonly opened: number[] = [];
  readonly failures: unknown[] = [];
  rows: Json[];
  hasEnd = true;
  closed = 0;
  reads = 0;
  #arrived: (() => void)[] = [];

  constructor(rows: readonly Json[]) {
    this.rows = [...rows];
  }

  add(...rows: Json[]): void {
    this.rows.push(...rows);
    for (const arrived of this.#arrived.splice(0)) arrived();
  }

  async partitions(): Promise<readonly string[]> {
    return ["0"];
  }

  async open(_partition: string, after: number): Promise<SourceReader> {
    this.opened.push(after);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    let at = after + 1;
    let isClosed = false;
    return {
      read: async (messagesMax) => {
        this.reads++;
        if (at >= this.rows.length && this.hasEnd) return "end";
        if (at >= this.rows.length) await new Promise<void>((resolve) => this.#arrived.push(resolve));
        if (isClosed || at >= this.rows.length) return "idle";
        const part = this.rows.slice(at, at + messagesMax);
        const first = at;
        at += part.length;
        return batchOf(first, part);
      },
      close: async () => {
        if (!isClosed) this.closed++;
        isClosed = true;
        for (const arrived of this.#arrived.splice(0)) arrived();
      },
    };
  }

  /** Lets readers that wait say that there is nothing. */
  poll(): void {
    for (const arrived of this.#arrived.splice(0)) arrived();
  }
}

function batchOf(first: number, rows: readonly Json[]): SourceBatch {
  const good = rows.flatMap((row, i) => (row === BAD ? [] : [i]));
  const rejected: RejectedInput[] = rows.flatMap((row, i) =>
    row === BAD ? [{ pos: first + i, error: engineError("MSG-DECODE", "no"), input: row }] : [],
  );
  return {
    batch: new RowBatch(good.map((i) => rows[i] as Json)),
    positions: Positions.dense(first, rows.length).select(Uint32Array.from(good)),
    through: first + rows.length - 1,
    rejected,
  };
}

class Stand {
  readonly env = virtualEnv("source");
  readonly source: ListSource;
  readonly actor: SourceActor;
  readonly meter = new ActorMeter();
  readonly cursor: LaneCursor;
  readonly taken: Json[] = [];
  readonly sent: { readonly atMs: number; readonly frame: Frame }[] = [];
  readonly failures: unknown[] = [];
  readonly waited: (string | null)[] = [];
  progressed = 0;
  isFull = false;
  loses: (frame: Frame) => boolean = () => false;
  #wakes: (() => void)[] = [];

  constructor(rows: readonly Json[], options: Partial<SourceActorOptions> = {}) {
    this.source = new ListSource(rows);
    const link: Link = {
      hasCredit: () => !this.isFull,
      whenCredit: (_path, wake) => this.#wakes.push(wake),
      send: (frame) => this.#receive(frame),
    };
    this.actor = new SourceActor({
      node: "src",
      partition: "0",
      connector: this.source,
      env: this.env,
      rootPath: 0,
      edges: [{ name: "src -> n", link, nextPath: new Map([[0, 1]]), meter: new EdgeMeter() }],
      lanes: [1],
      revision: 1,
      epoch: 3,
      meter: this.meter,
      failed: (error) => this.failures.push(error),
      waiting: (error) => this.waited.push(error instanceof MillraceError ? error.code : null),
      progressed: () => this.progressed++,
      ...options,
    });
    this.cursor = new LaneCursor({ name: "src#0>n", path: 1, input: 0, feedback: false, origin: this.actor });
  }

  drain(): void {
    this.isFull = false;
    for (const wake of this.#wakes.splice(0)) wake();
  }

  get frames(): Frame[] {
    return this.sent.map((s) => s.frame);
  }

  #receive(frame: Frame): void {
    this.sent.push({ atMs: this.env.clock.monotonic(), frame });
    if (this.loses(frame)) return;
    const admission = this.cursor.admit(frame);
    if (admission.verdict === "gap") this.cursor.ask(frame);
    if (admission.verdict !== "take") return;
    const { head, batch } = admission.frame;
    this.cursor.admitted(head);
    this.cursor.apply(head);
    this.taken.push(...batch.rows());
    this.cursor.settle(head.to, this.cursor.progress.anchor);
  }
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe("a source", () => {
  it("sends all that there is in frames of at most its size, then its end, and is finished when that is durable", async () => {
    const stand = new Stand(numbers(10), { frameMessagesMax: 4 });
    stand.actor.start();
    await stand.env.advance(100);
    expect(stand.taken).toEqual(numbers(10));
    expect(stand.frames.map((f) => f.n)).toEqual([4, 4, 2, 0]);
    expect(stand.frames.at(-1)?.head).toMatchObject({
      from: wholly(9),
      to: wholly(9),
      watermark: Number.POSITIVE_INFINITY,
      mark: { epoch: 3, n: 1 },
    });
    expect(stand.actor.isFinished).toBe(true);
    expect(stand.progressed).toBeGreaterThan(0);
    expect(stand.meter).toMatchObject({ in: 10, out: 10, dead: 0 });
  });

  it("starts after what its slowest receiver has durably passed", async () => {
    const stand = new Stand(numbers(5));
    stand.cursor.recover(wholly(2), START_PROGRESS);
    stand.actor.seed(1, wholly(2), { pos: 2, watermark: Number.NEGATIVE_INFINITY });
    stand.actor.start();
    await stand.env.advance(100);
    expect(stand.source.opened).toEqual([2]);
    expect(stand.taken).toEqual([3, 4]);
  });

  it("carries what it rejects as dead items of the frame in which they lie", async () => {
    const stand = new Stand(["a", BAD, "b", BAD]);
    stand.actor.start();
    await stand.env.advance(100);
    expect(stand.taken).toEqual(["a", "b"]);
    expect(stand.frames[0]?.dead.map((d) => [d.pos, d.node, d.error.code, d.input])).toEqual([
      [1, "src", "MSG-DECODE", BAD],
      [3, "src", "MSG-DECODE", BAD],
    ]);
    expect(stand.frames[0]?.head.to).toEqual(wholly(3));
    expect(stand.meter).toMatchObject({ in: 4, out: 2, dead: 2 });
  });

  it("gives up messages without a readable time, in order with the rest", async () => {
    const stand = new Stand([{ at: 1 }, { at: "x" }, BAD, { at: 3 }], { eventTime: { field: "at", boundMs: 0 } });
    stand.actor.start();
    await stand.env.advance(100);
    expect(stand.taken).toEqual([{ at: 1 }, { at: 3 }]);
    expect(stand.frames[0]?.dead.map((d) => [d.pos, d.error.code])).toEqual([
      [1, "MSG-TIME"],
      [2, "MSG-DECODE"],
    ]);
    expect(stand.meter).toMatchObject({ in: 4, out: 2, dead: 2 });
  });

  it("reads no further than the payloads of what is not durable have room, and goes on", async () => {
    const held = { now: 0, most: 0 };
    const payloads = {
      isUsed: true,
      retain: () => (held.most = Math.max(held.most, ++held.now)),
      release: () => held.now--,
      keep: () => undefined,
    };
    const rows = numbers(5).map((n) => referenceValue({ sha256: String(n).repeat(64), format: "raw", length: 60 }));
    const stand = new Stand(rows, { frameMessagesMax: 1, payloads, payloadBytesMax: 100 });
    stand.loses = () => true;
    stand.actor.start();
    await stand.env.advance(500);
    expect([stand.sent.length, held.now]).toEqual([2, 2]);
    stand.loses = () => false;
    await stand.env.advance(5000);
    expect([stand.taken, held]).toEqual([rows, { now: 0, most: 2 }]);
  });

  it("reads nothing without credit and goes on when it comes back", async () => {
    const stand = new Stand(numbers(4), { frameMessagesMax: 2 });
    stand.isFull = true;
    stand.actor.start();
    await stand.env.advance(1000);
    expect([stand.source.reads, stand.sent.length]).toEqual([0, 0]);
    stand.drain();
    await stand.env.advance(100);
    expect(stand.taken).toEqual(numbers(4));
    expect(stand.meter.blockedMs).toBeGreaterThanOrEqual(1000);
  });

  it("takes in nothing while it is suspended", async () => {
    const stand = new Stand(numbers(4));
    stand.actor.suspend();
    stand.actor.start();
    await stand.env.advance(1000);
    expect(stand.source.reads).toBe(0);
    stand.actor.unsuspend();
    await stand.env.advance(100);
    expect(stand.taken).toEqual(numbers(4));
  });

  it("says once that it is idle, and that it is not by the next message (R15)", async () => {
    const stand = new Stand([], { probeAfterMs: 1e9 });
    stand.source.hasEnd = false;
    stand.actor.start();
    await stand.env.settle();
    for (let i = 0; i < 3; i++) {
      stand.source.poll();
      await stand.env.advance(10);
    }
    expect(stand.frames.map((f) => [f.head.idle, f.head.mark?.n])).toEqual([[true, 1]]);
    stand.source.add("x");
    await stand.env.advance(10);
    expect(stand.frames.map((f) => f.head.idle)).toEqual([true, false]);
    expect(stand.cursor.progress.idle).toBe(false);
    await stand.actor.stop();
  });

  it("closes its reader when it is stopped, and sends nothing after that", async () => {
    const stand = new Stand(numbers(2));
    stand.source.hasEnd = false;
    stand.actor.start();
    await stand.env.advance(10);
    await stand.actor.stop();
    const sent = stand.sent.length;
    stand.source.add("late");
    await stand.env.advance(10_000);
    expect(stand.source.closed).toBe(1);
    expect(stand.sent).toHaveLength(sent);
  });

  it("stops although it was just opening its reader and no edge has room", async () => {
    const stand = new Stand(numbers(2));
    stand.isFull = true;
    const open = stand.source.open.bind(stand.source);
    let mayOpen = (): void => undefined;
    stand.source.open = async (partition, after) => {
      await new Promise<void>((resolve) => {
        mayOpen = resolve;
      });
      return open(partition, after);
    };
    stand.actor.start();
    await stand.env.settle();
    const stopping = stand.actor.stop();
    mayOpen();
    await stand.env.until(stopping);
    expect([stand.source.closed, stand.sent.length]).toEqual([1, 0]);
  });

  it("stops although its reader cannot be closed properly", async () => {
    const stand = new Stand(numbers(2));
    stand.source.hasEnd = false;
    const open = stand.source.open.bind(stand.source);
    stand.source.open = async (partition, after) => {
      const reader = await open(partition, after);
      return { ...reader, close: () => reader.close().then(() => Promise.reject(new Error("already gone"))) };
    };
    stand.actor.start();
    await stand.env.advance(10);
    await stand.env.until(stand.actor.stop());
    expect(stand.taken).toEqual(numbers(2));
  });
});

describe("a receiver of a source", () => {
  it("that missed a frame gets it again, and everything once (R7, R11)", async () => {
    const stand = new Stand(numbers(6), { frameMessagesMax: 2 });
    stand.loses = (frame) => frame.head.from.pos === 1 && frame.head.generation === 1;
    stand.actor.start();
    await stand.env.advance(5000);
    expect(stand.taken).toEqual(numbers(6));
    expect(stand.source.opened).toEqual([-1, 1]);
    expect(new Set(stand.frames.map((f) => f.head.generation))).toEqual(new Set([1, 2]));
    expect(stand.actor.isFinished).toBe(true);
  });

  it("that starts again while a source at its end is suspended gets everything when that goes on", async () => {
    const stand = new Stand(numbers(4));
    const { env, source, actor } = stand;
    const open = source.open.bind(source);
    source.open = async (partition, after) => {
      const reader = await open(partition, after);
      return { ...reader, read: (most) => sleep(env, 100).then(() => reader.read(most)) };
    };
    stand.loses = () => true;
    actor.start();
    await env.advance(150);
    actor.suspend();
    await env.advance(150);
    expect(actor.hasEnded).toBe(true);
    stand.loses = () => false;
    stand.cursor.askFromCursor();
    await env.advance(150);
    actor.unsuspend();
    await env.advance(10_000);
    expect([stand.taken, actor.isFinished]).toEqual([numbers(4), true]);
  });

  it("that missed the tail or the end learns it from a probe (R10)", async () => {
    const stand = new Stand(numbers(3), { probeAfterMs: 100 });
    stand.loses = (frame) => stand.env.clock.monotonic() < 50 && frame.head.epoch === 3;
    stand.actor.start();
    await stand.env.advance(2000);
    expect(stand.taken).toEqual(numbers(3));
    expect(stand.actor.isFinished).toBe(true);
    const sent = stand.sent.length;
    await stand.env.advance(10_000);
    expect(stand.sent).toHaveLength(sent);
  });

  it("gets the same late messages again when the source goes back (R19)", async () => {
    const rows = [100, 10, 60, 300, 200, 299].map((at) => ({ at }));
    const late = (stand: Stand): Set<string> =>
      new Set(stand.frames.flatMap((f) => f.late.map((l) => `${l.pos} at ${l.watermark}`)));
    const eventTime = { field: "at", boundMs: 50 };
    const whole = new Stand(rows, { eventTime });
    whole.actor.start();
    await whole.env.advance(100);
    const again = new Stand(rows, { eventTime, frameMessagesMax: 2 });
    again.loses = (frame) => frame.n > 0 && frame.head.generation < 3 && frame.head.from.pos >= 1;
    again.actor.start();
    await again.env.advance(20_000);
    expect(again.taken).toEqual(rows);
    expect(late(again)).toEqual(late(whole));
    expect([...late(whole)]).toEqual(["1 at 50", "4 at 250"]);
  });
});

describe("a source that replays at a multiple of event time", () => {
  const eventTime = { field: "at", boundMs: 0 };
  const rows = numbers(60).map((i) => ({ at: i * 1000 }));

  it.each([1, 10, 1000])("of %i× sends each message when it is due, and not before", async (speed) => {
    const stand = new Stand(rows, { eventTime, speed, frameMessagesMax: 16 });
    stand.actor.start();
    await stand.env.advance(60_000 / speed + 100);
    expect(stand.taken).toEqual(rows);
    for (const { atMs, frame } of stand.sent) {
      for (const row of frame.batch.rows() as { at: number }[]) {
        expect(atMs).toBeGreaterThanOrEqual(row.at / speed - 1e-6);
        expect(atMs).toBeLessThanOrEqual(row.at / speed + 10);
      }
    }
  });

  it("does not send rows one by one where many are due within its linger", async () => {
    const stand = new Stand(rows, { eventTime, speed: 100_000, lingerMs: 2 });
    stand.actor.start();
    await stand.env.advance(100);
    expect(stand.taken).toEqual(rows);
    expect(stand.frames.length).toBeLessThan(10);
  });

  it("keeps its pace from the first readable time on, when the first message has none", async () => {
    const stand = new Stand([{ at: "unreadable" }, ...rows.slice(0, 3)], { eventTime, speed: 1 });
    stand.actor.start();
    await stand.env.advance(1500);
    expect(stand.taken).toEqual(rows.slice(0, 2));
    await stand.env.advance(1000);
    expect(stand.taken).toEqual(rows.slice(0, 3));
  });

  it("does not make up for the time of a suspension", async () => {
    const stand = new Stand(rows.slice(0, 4), { eventTime, speed: 1, frameMessagesMax: 1 });
    stand.actor.start();
    await stand.env.advance(500);
    stand.actor.suspend();
    await stand.env.advance(60_000);
    const before = stand.taken.length;
    stand.actor.unsuspend();
    await stand.env.advance(900);
    expect(stand.taken.length - before).toBeLessThanOrEqual(1);
    await stand.env.advance(5000);
    expect(stand.taken).toEqual(rows.slice(0, 4));
  });
});

describe("a live source", () => {
  it("waits a little after a frame that is not full, so that rows travel together", async () => {
    const stand = new Stand([], { lingerMs: 2 });
    stand.source.hasEnd = false;
    stand.actor.start();
    for (let i = 0; i < 100; i++) {
      stand.source.add(i);
      await stand.env.advance(0.25);
    }
    await stand.env.advance(10);
    expect(stand.taken).toEqual(numbers(100));
    const times = stand.sent.filter((s) => s.frame.n > 0).map((s) => s.atMs);
    times.slice(1).forEach((at, i) => {
      expect(at - (times[i] as number)).toBeGreaterThanOrEqual(2 - 1e-6);
    });
    await stand.actor.stop();
  });
});

describe("a source that cannot be read", () => {
  const missing = engineError("SOURCE-MISSING", "no such file");

  it("is opened again with growing waits and says why it waits", async () => {
    const stand = new Stand(numbers(3));
    stand.source.failures.push(...Array<unknown>(5).fill(missing));
    stand.actor.start();
    await stand.env.advance(150);
    expect(stand.waited).toEqual(["SOURCE-MISSING", "SOURCE-MISSING"]);
    await stand.env.advance(60_000);
    expect(stand.taken).toEqual(numbers(3));
    expect(stand.source.opened).toEqual(Array(6).fill(-1));
    expect(stand.waited).toEqual([...Array(5).fill("SOURCE-MISSING"), null]);
    expect(stand.failures).toEqual([]);
  });

  it("goes on after what it has sent when reading fails half-way", async () => {
    const stand = new Stand(numbers(4), { frameMessagesMax: 2, eventTime: { field: "at", boundMs: 0 } });
    const open = stand.source.open.bind(stand.source);
    let reads = 0;
    stand.source.open = async (partition: string, after: number): Promise<SourceReader> => {
      const reader = await open(partition, after);
      const read = async (max: number): ReturnType<SourceReader["read"]> => {
        if (++reads === 2) throw engineError("SOURCE-FAILED", "interrupted");
        return reader.read(max);
      };
      return { read, close: () => reader.close() };
    };
    stand.actor.start();
    await stand.env.advance(10_000);
    expect(stand.source.opened).toEqual([-1, 1]);
    expect(stand.actor.isFinished).toBe(true);
    expect(stand.cursor.cursor).toEqual(wholly(3));
  });

  it("ends its incarnation for a reason that waiting does not cure", async () => {
    const stand = new Stand(numbers(3));
    const error = engineError("MSG-SIZE", "never");
    stand.source.failures.push(error);
    stand.actor.start();
    await stand.env.advance(10_000);
    expect(stand.failures).toEqual([error]);
    expect(stand.source.opened).toEqual([-1]);
  });
});

describe("a source's incarnations", () => {
  it("number their transmissions on, so that none looks like an old one (R11, R15)", async () => {
    const first = new Stand(numbers(2));
    first.actor.start();
    await first.env.advance(100);
    const second = new Stand(numbers(2), { after: first.actor.transmission });
    second.actor.start();
    await second.env.advance(100);
    expect(second.frames[0]?.head.generation).toBeGreaterThan(first.frames.at(-1)?.head.generation ?? 0);
    expect(second.frames.at(-1)?.head.mark?.n).toBeGreaterThan(first.frames.at(-1)?.head.mark?.n ?? 0);
  });

  it("go back no further than the receiver's anchor when it is in the middle of an expansion", async () => {
    const stand = new Stand(numbers(6), { frameMessagesMax: 1 });
    const anchor: Anchor = { pos: 1, watermark: Number.NEGATIVE_INFINITY };
    stand.actor.start();
    await stand.env.advance(100);
    stand.actor.resume(1, { pos: 3, ord: 2 }, anchor);
    await stand.env.advance(100);
    expect(stand.source.opened).toEqual([-1, 1]);
  });
});
