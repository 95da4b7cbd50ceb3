import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reportOf } from "../errors.ts";
import { ColumnBatch, RowBatch } from "../frame/batch.ts";
import { type DeadItem, Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { comparePoints, START } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { emptyFrame, messagesOf, sampleFrame, sampleHead } from "../testing/sample-frames.ts";
import { fair, fifo, lifo, priority } from "./discipline.ts";
import { Mailbox, type MailboxOptions, type Overflow } from "./mailbox.ts";

const LANES = 3;
const CAPACITY = 6;

type Command =
  | { readonly push: number; readonly rows: readonly number[]; readonly dead: boolean; readonly mark: boolean }
  | { readonly take: true; readonly peeked: boolean };

const commands = fc.array(
  fc.oneof(
    fc.record({
      push: fc.nat(LANES - 1),
      rows: fc.array(fc.nat(4), { maxLength: 4 }),
      dead: fc.boolean(),
      mark: fc.boolean(),
    }),
    fc.record({ take: fc.constant(true as const), peeked: fc.boolean() }),
  ),
  { maxLength: 60 },
);

interface Sent {
  readonly pos: number;
  readonly row: Json;
}

/** One lane as a plain list: what waits, what was removed, and where its ranges stand. */
class LaneModel {
  waiting: Sent[] = [];
  dead = 0;
  shed = 0;
  sentTo = -1;
  takenTo = START;

  overflow(kind: Overflow, keyOf: (row: Json) => Json): void {
    if (kind === "block" || this.size <= CAPACITY) return;
    if (kind === "conflate") {
      const newest = new Map(this.waiting.map((m) => [JSON.stringify(keyOf(m.row)), m]));
      this.#leave(this.waiting.filter((m) => newest.get(JSON.stringify(keyOf(m.row))) === m));
    }
    const excess = Math.min(this.waiting.length, Math.max(0, this.size - CAPACITY));
    const { length } = this.waiting;
    this.#leave(kind === "drop-newest" ? this.waiting.slice(0, length - excess) : this.waiting.slice(excess));
  }

  get size(): number {
    return this.waiting.length + this.dead;
  }

  #leave(kept: Sent[]): void {
    this.shed += this.waiting.length - kept.length;
    this.waiting = kept;
  }
}

function deadAt(pos: number): DeadItem {
  return { pos, ord: 0, node: "n", attempts: 1, error: reportOf(new Error("no")), input: null };
}

/** The next frame of a lane: its rows, then perhaps a dead item, then two positions that a filter removed. */
function nextFrame(path: number, lane: LaneModel, command: Extract<Command, { push: number }>): Frame {
  const from = lane.sentTo;
  const n = command.rows.length;
  const to = from + n + (command.dead ? 1 : 0) + 2;
  const body = sampleFrame(from + 1, command.rows);
  const isBare = n === 0 && !command.dead;
  const mark = command.mark && isBare ? { epoch: 0, n: to } : null;
  const head = sampleHead({ path, from: { ...body.head.from }, to: { pos: to, ord: body.head.to.ord }, mark });
  const dead = command.dead ? [deadAt(from + n + 1)] : [];
  return new Frame(head, body.batch, body.positions, dead);
}

const keyOf = (row: Json): Json => (row as number) % 3;

describe.each<[Overflow, string, () => MailboxOptions]>(
  (["block", "drop-oldest", "drop-newest", "conflate"] as const).flatMap((overflow) =>
    Object.entries({ fifo: () => fifo, lifo: () => lifo, fair, priority: () => priority((path) => path) }).map(
      ([name, discipline]): [Overflow, string, () => MailboxOptions] => [
        overflow,
        name,
        () => ({ overflow, capacity: CAPACITY, conflateBy: keyOf, discipline: discipline() }),
      ],
    ),
  ),
)("a mailbox with overflow %s and discipline %s", (overflow, _name, options) => {
  it("agrees with a list per lane, whatever is pushed and taken", () => {
    fc.assert(
      fc.property(commands, (script) => {
        const mailbox = new Mailbox(options(), () => undefined);
        const lanes = Array.from({ length: LANES }, () => new LaneModel());
        for (const command of script) {
          if ("push" in command) push(mailbox, lanes, command, overflow);
          else take(mailbox, lanes, command.peeked);
          agree(mailbox, lanes);
        }
        while (!mailbox.isEmpty) take(mailbox, lanes, false);
        for (const lane of lanes) expect(lane.takenTo.pos).toBe(lane.sentTo);
        expect(mailbox.take()).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });
});

function push(
  mailbox: Mailbox,
  lanes: readonly LaneModel[],
  command: Extract<Command, { push: number }>,
  overflow: Overflow,
): void {
  const lane = lanes[command.push] as LaneModel;
  const frame = nextFrame(command.push, lane, command);
  mailbox.push(frame);
  lane.waiting.push(...messagesOf(frame).map(({ pos, row }) => ({ pos, row })));
  lane.dead += frame.dead.length;
  lane.sentTo = frame.head.to.pos;
  lane.overflow(overflow, keyOf);
}

function take(mailbox: Mailbox, lanes: readonly LaneModel[], peeked: boolean): void {
  const seen = peeked ? mailbox.peek() : undefined;
  const frame = mailbox.take();
  if (peeked) expect(frame).toBe(seen);
  if (frame === undefined) {
    expect(lanes.every((lane) => lane.size === 0)).toBe(true);
    return;
  }
  const lane = lanes[frame.head.path] as LaneModel;
  expect(comparePoints(frame.head.from, lane.takenTo)).toBe(0);
  lane.takenTo = frame.head.to;
  const expected = lane.waiting.splice(0, frame.n);
  expect(messagesOf(frame).map(({ pos, row }) => ({ pos, row }))).toEqual(expected);
  expect(expected.every((m) => m.pos <= frame.head.to.pos)).toBe(true);
  lane.dead -= frame.dead.length;
  lane.shed -= frame.head.shed;
}

function agree(mailbox: Mailbox, lanes: readonly LaneModel[]): void {
  lanes.forEach((lane, path) => {
    expect(mailbox.depthOf(path)).toBe(lane.size);
    expect(mailbox.hasCredit(path)).toBe(mailbox.overflow !== "block" || lane.size < CAPACITY);
  });
  expect(mailbox.depth).toBe(lanes.reduce((sum, lane) => sum + lane.size, 0));
}

function filled(options: MailboxOptions, frames: number): Mailbox {
  const mailbox = new Mailbox(options, () => undefined);
  for (let i = 0; i < frames; i++) mailbox.push(sampleFrame(i, [i]));
  return mailbox;
}

function drained(mailbox: Mailbox): Frame[] {
  const frames: Frame[] = [];
  for (let frame = mailbox.take(); frame !== undefined; frame = mailbox.take()) frames.push(frame);
  return frames;
}

describe("a mailbox", () => {
  it("wakes its actor for every frame", () => {
    let woken = 0;
    const mailbox = new Mailbox({}, () => woken++);
    mailbox.push(sampleFrame(0, [1]));
    mailbox.push(emptyFrame(0, 5));
    expect(woken).toBe(2);
  });

  it("wakes a sender once, when its lane is half empty again, and no other lane's", () => {
    const mailbox = filled({ capacity: 4 }, 4);
    mailbox.push(sampleFrame(0, [9], { path: 1 }));
    const woken: number[] = [];
    mailbox.whenCredit(0, () => woken.push(0));
    mailbox.whenCredit(1, () => woken.push(1));
    mailbox.take();
    expect(woken).toEqual([]);
    mailbox.take();
    expect(woken).toEqual([0]);
    drained(mailbox);
    expect(woken).toEqual([0, 1]);
  });

  it("loses no wake-up: a sender that waits for credit always gets it by the time the lane is empty", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom(1, 100, Number.POSITIVE_INFINITY),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
        (capacity, bytesMax, sizes) => {
          const mailbox = new Mailbox({ capacity, bytesMax }, () => undefined);
          let at = 0;
          let waiting = 0;
          for (const size of sizes) {
            mailbox.push(
              sampleFrame(
                at,
                Array.from({ length: size }, () => "x".repeat(20)),
              ),
            );
            at += size;
            if (mailbox.hasCredit(0)) continue;
            waiting++;
            mailbox.whenCredit(0, () => waiting--);
          }
          drained(mailbox);
          expect(waiting).toBe(0);
        },
      ),
    );
  });

  it("wakes waiting senders when it is cleared", () => {
    const mailbox = filled({ capacity: 1 }, 1);
    let woken = 0;
    mailbox.whenCredit(0, () => woken++);
    mailbox.clear();
    expect([woken, mailbox.isEmpty, mailbox.depth]).toEqual([1, true, 0]);
  });

  it("has no credit for a lane whose bytes are used up, however few its messages", () => {
    const mailbox = new Mailbox({ bytesMax: 10_000 }, () => undefined);
    mailbox.push(sampleFrame(0, ["x".repeat(6000)]));
    expect(mailbox.hasCredit(0)).toBe(false);
    expect(mailbox.hasCredit(1)).toBe(true);
    mailbox.take();
    expect(mailbox.hasCredit(0)).toBe(true);
  });

  it.each<[Overflow, string]>([
    ["drop-oldest", "z"],
    ["drop-newest", "a"],
    ["conflate", "z"],
  ])("with overflow %s keeps within its bytes, but at least one message", (overflow, left) => {
    const mailbox = new Mailbox({ bytesMax: 10_000, overflow, conflateBy: (m) => m }, () => undefined);
    [..."abcz"].forEach((letter, i) => {
      mailbox.push(sampleFrame(i, [letter.repeat(6000)]));
    });
    expect(drained(mailbox).flatMap((f) => f.batch.rows().map((row) => (row as string)[0]))).toEqual([left]);
    expect(mailbox.shed).toBe(3);
  });

  it("keeps no more than its capacity when every message has a key of its own", () => {
    const mailbox = filled({ capacity: 10, overflow: "conflate", conflateBy: (m) => m }, 1000);
    expect(mailbox.depth).toBe(10);
    expect(
      drained(mailbox)
        .flatMap((f) => f.batch.rows())
        .slice(-1),
    ).toEqual([999]);
  });

  it.each<Overflow>(["drop-oldest", "drop-newest", "conflate"])(
    "with overflow %s and a receiver that stands still collects no ranges without end",
    (overflow) => {
      const frames = drained(filled({ capacity: 10, overflow }, 5000));
      expect(frames.length).toBeLessThan(40);
      expect(frames.reduce((sum, f) => sum + f.n + f.head.shed, 0)).toBe(5000);
    },
  );

  it("holds the empty frames and marks of an hour without traffic as one", () => {
    const mailbox = new Mailbox({}, () => undefined);
    for (let i = 0; i < 3600; i++) {
      mailbox.push(emptyFrame(i - 1, i, { watermark: i }));
      mailbox.push(emptyFrame(i, i, { watermark: i, idle: true, mark: { epoch: 1, n: i } }));
    }
    const frames = drained(mailbox);
    expect(frames).toHaveLength(1);
    expect(frames[0]?.head).toMatchObject({
      from: { pos: -1 },
      to: { pos: 3599 },
      watermark: 3599,
      idle: true,
      mark: { epoch: 1, n: 3599 },
    });
  });

  it.each([
    ["another generation", { generation: 1 }],
    ["another epoch", { epoch: 1 }],
    ["another revision", { revision: 2 }],
    ["an end at which the watermark is not known", { exact: false }],
    ["a gap before it", { from: { pos: 7, ord: 0 } }],
  ])("does not join an empty frame with %s", (_what, other) => {
    const mailbox = new Mailbox({}, () => undefined);
    mailbox.push(emptyFrame(-1, 3));
    mailbox.push(emptyFrame(3, 9, other));
    expect(drained(mailbox)).toHaveLength(2);
  });

  it("does not join an empty frame with one that has dead items", () => {
    const mailbox = new Mailbox({}, () => undefined);
    mailbox.push(new Frame(sampleHead(), new RowBatch([]), emptyFrame(-1, 0).positions, [deadAt(0)]));
    mailbox.push(emptyFrame(0, 9));
    expect(drained(mailbox).map((f) => f.dead.length)).toEqual([1, 0]);
  });

  it("knows since when its oldest message waits", () => {
    const mailbox = new Mailbox({ discipline: lifo }, () => undefined);
    expect(mailbox.oldestBornMs).toBeUndefined();
    mailbox.push(sampleFrame(0, [1], { path: 1, bornMs: 50 }));
    mailbox.push(sampleFrame(0, [1], { path: 2, bornMs: 30 }));
    expect(mailbox.oldestBornMs).toBe(30);
  });

  it("serves the lane that it promised by a peek, whatever comes after that", () => {
    const mailbox = new Mailbox({ discipline: lifo }, () => undefined);
    mailbox.push(sampleFrame(0, ["first"], { path: 1 }));
    expect(mailbox.peek()?.batch.rows()).toEqual(["first"]);
    mailbox.push(sampleFrame(0, ["fresh"], { path: 2 }));
    expect(mailbox.take()?.batch.rows()).toEqual(["first"]);
    expect(mailbox.take()?.batch.rows()).toEqual(["fresh"]);
  });
});

describe("a mailbox that is asked for certain frames only", () => {
  const ofPath =
    (path: number) =>
    (frame: Frame): boolean =>
      frame.head.path === path;

  it("passes over lanes whose oldest frame is refused, and keeps the order within lanes", () => {
    const mailbox = new Mailbox({}, () => undefined);
    for (const [path, row] of [
      [1, "a"],
      [2, "b"],
      [1, "c"],
      [2, "d"],
    ] as const)
      mailbox.push(sampleFrame(row === "a" || row === "b" ? 0 : 1, [row], { path }));
    expect(mailbox.peek(ofPath(2))?.batch.rows()).toEqual(["b"]);
    expect(mailbox.take(ofPath(2))?.batch.rows()).toEqual(["b"]);
    expect(mailbox.take(ofPath(3))).toBeUndefined();
    expect(drained(mailbox).map((f) => f.batch.row(0))).toEqual(["a", "c", "d"]);
  });

  it("promises by a peek only what the next take accepts too", () => {
    const mailbox = new Mailbox({}, () => undefined);
    mailbox.push(sampleFrame(0, ["a"], { path: 1 }));
    mailbox.push(sampleFrame(0, ["b"], { path: 2 }));
    mailbox.peek(ofPath(1));
    expect(mailbox.take(ofPath(2))?.batch.rows()).toEqual(["b"]);
    expect(mailbox.take()?.batch.rows()).toEqual(["a"]);
  });

  it("has no credit for columns whose bytes are used up", () => {
    const mailbox = new Mailbox({ bytesMax: 1000 }, () => undefined);
    const values = new Float64Array(200);
    const batch = new ColumnBatch(new Map([["x", { type: "number", values, nulls: null }]]), null, 200);
    mailbox.push(new Frame(sampleHead(), batch, Positions.dense(0, 200)));
    expect(mailbox.hasCredit(0)).toBe(false);
  });
});

describe("frames$ of a mailbox", () => {
  it("shows each frame once as it arrives, to those who subscribed before, and holds nothing up", () => {
    const mailbox = new Mailbox({ capacity: 1, overflow: "drop-newest" }, () => undefined);
    mailbox.push(sampleFrame(0, ["before"]));
    const seen: Json[] = [];
    const early = mailbox.frames$.subscribe((frame) => seen.push(...frame.batch.rows()));
    mailbox.push(sampleFrame(1, ["dropped later"]));
    mailbox.take();
    mailbox.push(sampleFrame(2, ["after"]));
    early.unsubscribe();
    mailbox.push(sampleFrame(3, ["unseen"]));
    expect(seen).toEqual(["dropped later", "after"]);
  });

  it("gives every subscriber all frames", () => {
    const mailbox = new Mailbox({}, () => undefined);
    const counts = [0, 0];
    const subscriptions = counts.map((_, i) => mailbox.frames$.subscribe(() => (counts[i] = (counts[i] ?? 0) + 1)));
    mailbox.push(sampleFrame(0, [1]));
    subscriptions[0]?.unsubscribe();
    mailbox.push(sampleFrame(1, [2]));
    expect(counts).toEqual([1, 2]);
  });
});
