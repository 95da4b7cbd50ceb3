import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PureBehavior, pureResult } from "../behavior/pure-behavior.ts";
import { engineError, reportOf } from "../errors.ts";
import { type Batch, RowBatch } from "../frame/batch.ts";
import { type DeadItem, Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { comparePoints, END, type Point, wholly } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { Mailbox } from "../mailbox/mailbox.ts";
import { emptyFrame, messagesOf, sampleFrame, sampleHead } from "../testing/sample-frames.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { EdgeMeter, type Link, type OutEdge } from "./link.ts";
import { ActorMeter } from "./meter.ts";
import { PureActor } from "./pure-actor.ts";
import { Scheduler } from "./scheduler.ts";

class Receiver implements Link {
  readonly frames: Frame[] = [];
  readonly waiters: (() => void)[] = [];
  isFull = false;
  readonly fullPaths = new Set<number>();

  hasCredit(path: number): boolean {
    return !this.isFull && !this.fullPaths.has(path);
  }

  whenCredit(_path: number, wake: () => void): void {
    this.waiters.push(wake);
  }

  send(frame: Frame): void {
    this.frames.push(frame);
  }

  drain(): void {
    this.isFull = false;
    this.fullPaths.clear();
    for (const wake of this.waiters.splice(0)) wake();
  }

  get rows(): Json[] {
    return this.frames.flatMap((frame) => frame.batch.rows());
  }

  get dead(): DeadItem[] {
    return this.frames.flatMap((frame) => [...frame.dead]);
  }
}

/** An actor with receivers per port; every path `p` goes on as `p` along each edge. */
class Stand {
  readonly env = virtualEnv("pure actor");
  readonly mailbox: Mailbox = new Mailbox({}, () => this.actor.wake());
  readonly meter = new ActorMeter();
  readonly failures: unknown[] = [];
  readonly receivers: readonly (readonly Receiver[])[];
  actor: PureActor;
  readonly #scheduler: Scheduler;

  constructor(behavior: PureBehavior, edgesPerPort: readonly number[] = [1], beside?: Stand) {
    this.#scheduler = beside === undefined ? new Scheduler(this.env) : beside.#scheduler;
    this.receivers = edgesPerPort.map((n) => Array.from({ length: n }, () => new Receiver()));
    this.actor = this.incarnation(behavior);
  }

  incarnation(behavior: PureBehavior): PureActor {
    const edge = (link: Link): OutEdge => ({
      name: "n -> m",
      link,
      nextPath: new Map([0, 1, 2].map((path) => [path, path])),
      meter: new EdgeMeter(),
    });
    this.actor = new PureActor({
      node: "n",
      revision: 1,
      behavior,
      scheduler: this.#scheduler,
      mailbox: this.mailbox,
      meter: this.meter,
      edges: this.receivers.map((links) => links.map(edge)),
      failed: (error) => this.failures.push(error),
    });
    return this.actor;
  }

  get out(): Receiver {
    return this.receivers[0]?.[0] as Receiver;
  }

  async take(...frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) this.mailbox.push(frame);
    await this.env.settle();
  }
}

/** Each row becomes the rows that `expand` makes of it; an `"error"` fails its message. */
function flatMap(expand: (row: Json) => readonly Json[] | "error"): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    expands: true,
    transform(batch) {
      const rows: Json[] = [];
      const sources: number[] = [];
      const failures: { index: number; error: Error }[] = [];
      batch.rows().forEach((row, index) => {
        const made = expand(row);
        if (made === "error") failures.push({ index, error: new Error(`no ${String(row)}`) });
        else {
          rows.push(...made);
          sources.push(...made.map(() => index));
        }
      });
      return pureResult(new RowBatch(rows), Uint32Array.from(sources), failures);
    },
  };
}

/** Keeps rows for which `keep` is true; what it throws fails the whole batch. */
function filter(keep: (row: Json) => boolean): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch) {
      const kept = batch.rows().flatMap((row, i) => (keep(row) ? [i] : []));
      return pureResult(batch.select(Uint32Array.from(kept)), Uint32Array.from(kept));
    },
  };
}

const double: PureBehavior = {
  kind: "pure",
  ports: ["out"],
  transform: (batch: Batch) => pureResult(new RowBatch(batch.rows().map((row) => (row as number) * 2))),
};

/** Messages of a lane as an expanding node before this one made them, with some dead among them. */
const lane = fc
  .array(fc.array(fc.constantFrom("live", "live", "dead"), { maxLength: 4 }), { minLength: 1, maxLength: 6 })
  .map((expansions) => {
    const live: Point[] = [];
    const dead: DeadItem[] = [];
    expansions.forEach((fates, pos) => {
      fates.forEach((fate, ord) => {
        const item = { pos, ord };
        if (fate === "live") live.push(item);
        else dead.push({ ...item, node: "before", attempts: 1, error: reportOf(new Error("no")), input: null });
      });
    });
    const positions = Positions.of(
      Float64Array.from(live, (p) => p.pos),
      Uint32Array.from(live, (p) => p.ord),
    );
    const rows = new RowBatch(live.map((p) => `${p.pos}.${p.ord}`));
    return new Frame(sampleHead({ to: wholly(expansions.length) }), rows, positions, dead);
  });

function cutUp(frame: Frame, where: readonly number[]): Frame[] {
  const [first, ...rest] = where;
  if (first === undefined || frame.n < 2) return [frame];
  const [left, right] = frame.cutBefore(1 + (first % (frame.n - 1)), 0);
  return [left, ...cutUp(right, rest)];
}

function itemsOf(frames: readonly Frame[]): unknown[] {
  return frames.flatMap((frame) => [
    ...messagesOf(frame),
    ...frame.dead.map(({ pos, ord, node }) => ({ pos, ord, row: `dead at ${node}` })),
  ]);
}

const byPoint = (a: unknown, b: unknown): number => comparePoints(a as Point, b as Point);

describe("a pure actor", () => {
  it("maps one to one and keeps positions, range and head", async () => {
    const stand = new Stand(double);
    await stand.take(sampleFrame(4, [1, 2], { watermark: 9, idle: true, shed: 3 }));
    expect(stand.out.frames[0]?.head).toEqual(sampleFrame(4, [1, 2], { watermark: 9, idle: true, shed: 3 }).head);
    expect(messagesOf(stand.out.frames[0] as Frame)).toEqual([
      { pos: 4, ord: 0, row: 2 },
      { pos: 5, ord: 0, row: 4 },
    ]);
    expect(stand.meter).toMatchObject({ in: 2, out: 2, dead: 0 });
  });

  it("filters messages, never ranges (R3)", async () => {
    const stand = new Stand(filter((row) => (row as number) > 1));
    await stand.take(sampleFrame(0, [1, 2, 1]), sampleFrame(3, [1, 1]));
    expect(stand.out.frames.map((f) => [f.head.from.pos, f.head.to.pos, f.n])).toEqual([
      [-1, 2, 1],
      [2, 4, 0],
    ]);
    expect(stand.out.frames[0]?.positions.pos(0)).toBe(1);
  });

  it("passes marks and empty ranges on without asking its behavior", async () => {
    const stand = new Stand(
      filter(() => {
        throw new Error("never called");
      }),
    );
    const mark = emptyFrame(3, 3, { mark: { epoch: 1, n: 1 }, idle: true });
    await stand.take(mark);
    expect(stand.out.frames[0]?.head).toEqual(mark.head);
  });

  it("numbers what it expands the same whatever the frames are cut into (R4)", async () => {
    const counts = fc.array(fc.nat(4), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(lane, counts, fc.array(fc.nat(50), { maxLength: 6 }), async (frame, sizes, where) => {
        const expand = (row: Json): readonly Json[] | "error" => {
          const size = sizes[String(row).length + Number(String(row).at(-1)) - 3] as number;
          return size === 4 ? "error" : Array.from({ length: size }, (_, i) => `${String(row)}/${i}`);
        };
        const whole = new Stand(flatMap(expand));
        await whole.take(frame);
        const parts = new Stand(flatMap(expand));
        await parts.take(...cutUp(frame, where));
        expect(itemsOf(parts.out.frames).sort(byPoint)).toEqual(itemsOf(whole.out.frames).sort(byPoint));
      }),
      { numRuns: 150 },
    );
  });

  it("gives expansions ranges that chain and hold their messages, whatever the cuts (R2, R4)", async () => {
    await fc.assert(
      fc.asyncProperty(lane, fc.array(fc.nat(50), { maxLength: 6 }), async (frame, where) => {
        const stand = new Stand(flatMap((row) => (String(row).endsWith("1") ? [] : [row, row])));
        await stand.take(...cutUp(frame, where));
        let at: Point = wholly(-1);
        for (const part of stand.out.frames) {
          expect(part.head.from).toEqual(at);
          for (const item of [...messagesOf(part), ...part.dead]) {
            expect(comparePoints(item, part.head.from)).toBeGreaterThan(0);
            expect(comparePoints(item, part.head.to)).toBeLessThanOrEqual(0);
          }
          at = part.head.to;
        }
        expect(at).toEqual(frame.head.to);
      }),
      { numRuns: 150 },
    );
  });

  it("keeps lanes apart, each with its own numbering (R1)", async () => {
    const stand = new Stand(flatMap((row) => [row, row]));
    await stand.take(sampleFrame(0, ["a"], { path: 1 }), sampleFrame(0, ["b"], { path: 2 }));
    expect(stand.out.frames.map((f) => [f.head.path, messagesOf(f).map((m) => m.ord)])).toEqual([
      [1, [0, 1]],
      [2, [0, 1]],
    ]);
  });

  describe("drops a frame", () => {
    const outputs = async (...frames: readonly Frame[]): Promise<Json[]> => {
      const stand = new Stand(flatMap((row) => [row]));
      await stand.take(...frames);
      return stand.out.rows;
    };
    const from = (first: number, ord: number, row: Json): Frame =>
      sampleFrame(first, [row], { from: { pos: first - 1, ord } });

    it("that starts inside an expansion which it did not see (R5)", async () => {
      expect(await outputs(from(5, 2, "torn"))).toEqual([]);
    });

    it("that does not follow, until its origin starts again at a whole position (R5)", async () => {
      const frames = [from(5, END, "whole"), from(9, 3, "torn"), from(3, END, "again")];
      expect(await outputs(...frames)).toEqual(["whole", "again"]);
    });

    it("of another revision (R22)", async () => {
      expect(await outputs(sampleFrame(0, ["stale"], { revision: 0 }), sampleFrame(0, ["x"]))).toEqual(["x"]);
    });

    it("of an older owner (R26)", async () => {
      const frames = [sampleFrame(0, ["new"], { epoch: 5 }), sampleFrame(1, ["stale"], { epoch: 4 })];
      expect(await outputs(...frames)).toEqual(["new"]);
    });
  });
});

describe("a message that fails in a pure actor", () => {
  const poison = filter((row) => {
    if (row === "poison") throw new Error("cannot");
    return true;
  });

  it("is found by halving and becomes a dead item; all others go through in order (R23)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom("poison", "a", "b"), { minLength: 1, maxLength: 20 }), async (rows) => {
        const stand = new Stand(poison);
        await stand.take(sampleFrame(10, rows));
        expect(stand.out.rows).toEqual(rows.filter((row) => row !== "poison"));
        const expected = rows.flatMap((row, i) => (row === "poison" ? [10 + i] : []));
        expect(stand.out.dead.map((d) => d.pos)).toEqual(expected);
        expect(stand.out.frames).toHaveLength(1);
        expect(stand.failures).toEqual([]);
        expect(stand.meter).toMatchObject({ in: rows.length, dead: expected.length });
      }),
      { numRuns: 60 },
    );
  });

  it("costs a search that grows with the logarithm of the frame", async () => {
    let calls = 0;
    const counting: PureBehavior = {
      ...poison,
      transform: (batch) => {
        calls++;
        return poison.transform(batch);
      },
    };
    const rows = Array.from({ length: 4096 }, (_, i) => (i === 1234 ? "poison" : "a"));
    await new Stand(counting).take(sampleFrame(0, rows));
    expect(calls).toBe(1 + 2 * 12);
  });

  it("carries its place, input, error and node", async () => {
    const stand = new Stand(poison);
    await stand.take(sampleFrame(7, ["poison"]));
    expect(stand.out.dead).toEqual([
      {
        pos: 7,
        ord: 0,
        node: "n",
        attempts: 1,
        error: { code: "UNEXPECTED", kind: "terminal", message: "cannot" },
        input: "poison",
      },
    ]);
  });

  it("may be reported instead of thrown, and joins the dead of nodes before in order", async () => {
    const stand = new Stand(flatMap((row) => (row === "bad" ? "error" : [row])));
    const before = { pos: 1, ord: 0, node: "before", attempts: 1, error: reportOf(new Error("x")), input: null };
    const body = sampleFrame(0, ["bad", "x", "y", "bad"]);
    const positions = Positions.of(Float64Array.of(0, 2, 3, 4));
    await stand.take(new Frame({ ...body.head, to: wholly(4) }, body.batch, positions, [before]));
    expect(stand.out.dead.map((d) => `${d.pos} ${d.node}`)).toEqual(["0 n", "1 before", "4 n"]);
    expect(stand.out.rows).toEqual(["x", "y"]);
  });

  it("is reported under the name of the node that failed, where several run as one", async () => {
    const fused: PureBehavior = {
      kind: "pure",
      ports: ["out"],
      transform: (batch) => {
        if (batch.n > 1) throw new Error("too many");
        return pureResult(new RowBatch([]), new Uint32Array(0), [{ index: 0, error: new Error("no"), node: "second" }]);
      },
    };
    const stand = new Stand(fused);
    await stand.take(sampleFrame(0, ["x", "y"]));
    expect(stand.out.dead.map((d) => `${d.pos} ${d.node}`)).toEqual(["0 second", "1 second"]);
  });

  it("is dead on the first edge only, whichever port has the first (R23)", async () => {
    const twoPorts: PureBehavior = {
      kind: "pure",
      ports: ["a", "b"],
      transform: (batch) => {
        const none = { batch: new RowBatch([]), sources: new Uint32Array(0) };
        return { outputs: [none, none], failures: batch.rows().map((_, index) => ({ index, error: new Error("no") })) };
      },
    };
    for (const [edges, expected] of [
      [
        [2, 1],
        [[1, 0], [0]],
      ],
      [
        [0, 2],
        [[], [1, 0]],
      ],
    ] as const) {
      const stand = new Stand(twoPorts, edges);
      await stand.take(sampleFrame(0, ["x"]));
      expect(stand.receivers.map((port) => port.map((receiver) => receiver.dead.length))).toEqual(expected);
    }
  });

  it.each(["transient", "programmer"] as const)(
    "for a %s reason is not given up but fails the actor (R24)",
    async (kind) => {
      const error = engineError(kind === "transient" ? "SOURCE-FAILED" : "CREDIT-OVERRUN", "not now");
      const stand = new Stand(
        filter((row) => {
          if (row === "y") throw error;
          return true;
        }),
      );
      await stand.take(sampleFrame(0, ["x"]), sampleFrame(1, ["y", "z"]), sampleFrame(3, ["w"]));
      expect(stand.failures).toEqual([error]);
      expect(stand.out.rows).toEqual(["x"]);
      stand.incarnation(filter(() => true)).wake();
      await stand.env.settle();
      expect(stand.out.rows).toEqual(["x", "y", "z", "w"]);
      expect(stand.out.dead).toEqual([]);
    },
  );
});

describe("a pure actor without credit", () => {
  it("leaves messages where they are and goes on when credit comes back", async () => {
    const stand = new Stand(double);
    stand.out.isFull = true;
    await stand.take(sampleFrame(0, [1]), sampleFrame(1, [2]));
    expect(stand.out.frames).toEqual([]);
    expect(stand.mailbox.depth).toBe(2);
    await stand.env.advance(40);
    stand.out.drain();
    await stand.env.settle();
    expect(stand.out.rows).toEqual([2, 4]);
    expect(stand.meter.blockedMs).toBeGreaterThanOrEqual(40);
  });

  it("waits for each of its edges", async () => {
    const stand = new Stand(double, [2]);
    const [first, second] = stand.receivers[0] as readonly [Receiver, Receiver];
    second.isFull = true;
    await stand.take(sampleFrame(0, [1]));
    expect([first.rows, second.rows]).toEqual([[], []]);
    second.drain();
    await stand.env.settle();
    expect([first.rows, second.rows]).toEqual([[2], [2]]);
  });

  it("passes empty frames on, which need none, but no dead items", async () => {
    const stand = new Stand(double);
    stand.out.isFull = true;
    await stand.take(emptyFrame(-1, 3));
    expect(stand.out.frames).toHaveLength(1);
    const dead = { pos: 4, ord: 0, node: "b", attempts: 1, error: reportOf(new Error("x")), input: null };
    const { head, batch, positions } = emptyFrame(3, 4);
    await stand.take(new Frame(head, batch, positions, [dead]));
    expect(stand.out.frames).toHaveLength(1);
    stand.out.drain();
    await stand.env.settle();
    expect(stand.out.dead).toEqual([dead]);
  });

  it("for one lane passes the frames of the others (R25)", async () => {
    const stand = new Stand(double);
    stand.out.fullPaths.add(1);
    await stand.take(
      sampleFrame(0, [1], { path: 1 }),
      sampleFrame(0, [2], { path: 2 }),
      sampleFrame(1, [3], { path: 1 }),
      sampleFrame(1, [4], { path: 2 }),
    );
    expect(stand.out.rows).toEqual([4, 8]);
    expect(stand.mailbox.depthOf(1)).toBe(2);
    stand.out.drain();
    await stand.env.settle();
    expect(stand.out.rows).toEqual([4, 8, 2, 6]);
  });

  it("takes nothing after it was stopped", async () => {
    const stand = new Stand(double);
    stand.actor.stop();
    await stand.take(sampleFrame(0, [1]));
    expect(stand.out.frames).toEqual([]);
    expect(stand.mailbox.depth).toBe(1);
  });

  it("lets other actors have their turns while its own mailbox is long", async () => {
    const stand = new Stand(double);
    let doneBefore = -1;
    const noting = filter(() => {
      doneBefore = stand.out.rows.length;
      return true;
    });
    const other = new Stand(noting, [1], stand);
    for (let i = 0; i < 100; i++) stand.mailbox.push(sampleFrame(i, [i]));
    other.mailbox.push(sampleFrame(0, [1]));
    await stand.env.settle();
    expect(stand.out.rows).toHaveLength(100);
    expect(doneBefore).toBeGreaterThan(0);
    expect(doneBefore).toBeLessThan(50);
  });
});
