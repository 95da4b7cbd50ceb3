import { describe, expect, it } from "vitest";
import { sampleFrame } from "../testing/sample-frames.ts";
import { type Discipline, deadline, fair, fifo, lifo, priority } from "./discipline.ts";
import { Mailbox } from "./mailbox.ts";

const BUSY = 1;
const QUIET = 2;

function mailboxWith(discipline: Discipline): {
  mailbox: Mailbox;
  push: (path: number, n?: number, bornMs?: number) => void;
} {
  const mailbox = new Mailbox({ discipline, capacity: 1e6 }, () => undefined);
  const next = new Map<number, number>();
  const push = (path: number, n = 1, bornMs = 0): void => {
    const first = next.get(path) ?? 0;
    next.set(path, first + n);
    mailbox.push(sampleFrame(first, Array<number>(n).fill(path), { path, bornMs }));
  };
  return { mailbox, push };
}

function lanesTaken(mailbox: Mailbox, frames: number): (number | undefined)[] {
  return Array.from({ length: frames }, () => mailbox.take()?.head.path);
}

describe("disciplines between lanes", () => {
  it("fifo: the lane whose frame came first", () => {
    const { mailbox, push } = mailboxWith(fifo);
    for (const path of [3, 1, 1, 2, 3]) push(path);
    expect(lanesTaken(mailbox, 6)).toEqual([3, 1, 1, 2, 3, undefined]);
  });

  it("lifo: the lane whose oldest frame came last, first in first out within it", () => {
    const { mailbox, push } = mailboxWith(lifo);
    for (const path of [1, 1, 2, 3, 3]) push(path);
    expect(lanesTaken(mailbox, 5)).toEqual([3, 3, 2, 1, 1]);
  });

  it("priority: the lane of the highest rank", () => {
    const { mailbox, push } = mailboxWith(priority((path) => path));
    for (const path of [1, 2, 3, 1, 3]) push(path);
    expect(lanesTaken(mailbox, 5)).toEqual([3, 3, 2, 1, 1]);
  });

  it("priority: a lane of low rank is served in the end, however much of a higher rank arrives", () => {
    const { mailbox, push } = mailboxWith(priority((path) => (path === BUSY ? 10 : 0), 4));
    push(QUIET);
    let turns = 0;
    for (let path: number | undefined; path !== QUIET; turns++) {
      push(BUSY);
      push(BUSY);
      path = mailbox.take()?.head.path;
      expect(turns).toBeLessThan(100);
    }
    expect(turns).toBeGreaterThan(10);
  });

  it("deadline: the lane whose oldest message has least time left", () => {
    const { mailbox, push } = mailboxWith(deadline((path) => (path === 1 ? 100 : 10)));
    push(1, 1, 0);
    push(2, 1, 80);
    push(2, 1, 95);
    expect(lanesTaken(mailbox, 3)).toEqual([2, 1, 2]);
  });

  it("fair: lanes get equal shares in messages, not in frames", () => {
    const { mailbox, push } = mailboxWith(fair());
    for (let i = 0; i < 10; i++) push(BUSY, 10);
    for (let i = 0; i < 50; i++) push(QUIET, 2);
    const served = new Map<number | undefined, number>();
    for (let i = 0; i < 30; i++) {
      const frame = mailbox.take();
      served.set(frame?.head.path, (served.get(frame?.head.path) ?? 0) + (frame?.n ?? 0));
    }
    expect(Math.abs((served.get(BUSY) ?? 0) - (served.get(QUIET) ?? 0))).toBeLessThanOrEqual(10);
  });

  it("fair: a lane that comes back after a pause takes turns at once and gets nothing for the pause", () => {
    const { mailbox, push } = mailboxWith(fair());
    for (let i = 0; i < 100; i++) push(BUSY);
    lanesTaken(mailbox, 90);
    for (let i = 0; i < 10; i++) push(QUIET);
    const taken = lanesTaken(mailbox, 10);
    expect(taken.filter((path) => path === QUIET).length).toBe(5);
    expect(taken.slice(0, 2)).toContain(QUIET);
  });
});
