import { describe, expect, it } from "vitest";
import type { EventFilter, EventLog, ReadOptions } from "../../log/event-log.ts";
import { gather, sampleEvent, sampleEvents, to, uniqueId } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

export function readContract(make: MakeEventLog): void {
  describe("reading", () => {
    byPosition(make);
    byRevision(make);
    filtered(make);
    endsAndHeads(make);
  });
}

async function positions(log: EventLog, options?: ReadOptions): Promise<number[]> {
  return (await gather(log.read(options))).map((e) => e.position);
}

async function revisions(log: EventLog, stream: string, options?: ReadOptions): Promise<number[]> {
  return (await gather(log.readStream(stream, options))).map((e) => e.revision);
}

function byPosition(make: MakeEventLog): void {
  it("goes forward and backward from any position, with a limit", () =>
    withLog(make, async (log, harness) => {
      await log.append(to("a", sampleEvents(4)));
      await log.append(to("b", sampleEvents(3)));
      for (const again of [false, true]) {
        const opened = again ? await harness.reopen() : log;
        expect(await positions(opened)).toEqual([0, 1, 2, 3, 4, 5, 6]);
        expect(await positions(opened, { from: 5 })).toEqual([5, 6]);
        expect(await positions(opened, { from: 2, limit: 3 })).toEqual([2, 3, 4]);
        expect(await positions(opened, { direction: "backward" })).toEqual([6, 5, 4, 3, 2, 1, 0]);
        expect(await positions(opened, { direction: "backward", from: 3 })).toEqual([3, 2, 1, 0]);
        expect(await positions(opened, { direction: "backward", from: 5, limit: 2 })).toEqual([5, 4]);
        expect(await positions(opened, { from: 7 })).toEqual([]);
        expect(await positions(opened, { from: 100 })).toEqual([]);
        expect(await positions(opened, { direction: "backward", from: 100, limit: 1 })).toEqual([6]);
        expect(await positions(opened, { limit: 0 })).toEqual([]);
      }
    }));

  it("finds nothing in an empty log", () =>
    withLog(make, async (log) => {
      expect(await positions(log)).toEqual([]);
      expect(await positions(log, { direction: "backward" })).toEqual([]);
      expect(log.durableEnd).toBe(0);
    }));

  it("stops at the durable end of the moment of the call", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(3)));
      const early = log.read();
      const earlyStream = log.readStream("s");
      await log.append(to("s", sampleEvents(3)));
      expect((await gather(early)).map((e) => e.position)).toEqual([0, 1, 2]);
      expect((await gather(earlyStream)).map((e) => e.revision)).toEqual([0, 1, 2]);
    }));

  it("reads a long log in order while it is appended to", () =>
    withLog(make, async (log) => {
      for (let i = 0; i < 30; i++) await log.append(to(`s${i % 4}`, sampleEvents(100)));
      const reading = gather(log.read());
      await Promise.all(Array.from({ length: 20 }, () => log.append(to("late", sampleEvent()))));
      expect((await reading).map((e) => e.position)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
      expect(await revisions(log, "s2", { direction: "backward", limit: 3 })).toEqual([699, 698, 697]);
    }));
}

function byRevision(make: MakeEventLog): void {
  it("reads one stream by revision, both ways", () =>
    withLog(make, async (log, harness) => {
      for (let i = 0; i < 5; i++) {
        await log.append(to("s", sampleEvent()));
        await log.append(to("other", sampleEvents(2)));
      }
      for (const again of [false, true]) {
        const opened = again ? await harness.reopen() : log;
        expect(await revisions(opened, "s")).toEqual([0, 1, 2, 3, 4]);
        expect(await revisions(opened, "s", { from: 3 })).toEqual([3, 4]);
        expect(await revisions(opened, "s", { from: 1, limit: 2 })).toEqual([1, 2]);
        expect(await revisions(opened, "s", { direction: "backward" })).toEqual([4, 3, 2, 1, 0]);
        expect(await revisions(opened, "s", { direction: "backward", from: 2 })).toEqual([2, 1, 0]);
        expect(await revisions(opened, "s", { direction: "backward", from: 50, limit: 2 })).toEqual([4, 3]);
        expect(await revisions(opened, "s", { from: 5 })).toEqual([]);
        expect(await revisions(opened, "nobody")).toEqual([]);
        expect((await gather(opened.readStream("s"))).map((e) => e.position)).toEqual([0, 3, 6, 9, 12]);
      }
    }));

  it("keeps streams apart whose names begin alike", () =>
    withLog(make, async (log) => {
      for (const stream of ["a", "ab", "a/b", "a\u0000", "A"]) await log.append(to(stream, sampleEvents(2)));
      for (const stream of ["a", "ab", "a/b", "a\u0000", "A"]) {
        expect((await gather(log.readStream(stream))).map((e) => e.stream)).toEqual([stream, stream]);
        expect(await log.head(stream)).toBe(1);
      }
    }));
}

function filtered(make: MakeEventLog): void {
  it("returns only what passes every condition of a filter", () =>
    withLog(make, async (log, harness) => {
      const cause = uniqueId();
      await log.append(to("graph/a", sampleEvent({ type: "Started", context: { graph: "a" } })));
      await log.append(to("node/a/x", sampleEvent({ type: "Stepped", context: { graph: "a", node: "x" } })));
      await log.append(
        to("node/a/y", sampleEvent({ type: "Stepped", context: { graph: "a", node: "y", correlationId: cause } })),
      );
      await log.append(to("node/b/x", sampleEvent({ type: "Parked", context: { graph: "b", node: "x" } })));
      await log.append(to("graph/b", sampleEvent({ type: "Started", context: { graph: "b", correlationId: cause } })));
      const cases: readonly (readonly [EventFilter, readonly number[]])[] = [
        [{}, [0, 1, 2, 3, 4]],
        [{ streamPrefix: "node/" }, [1, 2, 3]],
        [{ types: ["Started", "Parked"] }, [0, 3, 4]],
        [{ types: ["Unheard"] }, []],
        [{ graph: "a" }, [0, 1, 2]],
        [{ node: "x" }, [1, 3]],
        [{ correlationId: cause }, [2, 4]],
        [{ streamPrefix: "node/", types: ["Stepped"], graph: "a", node: "y" }, [2]],
        [{ correlationId: cause, graph: "b" }, [4]],
      ];
      for (const again of [false, true]) {
        const opened = again ? await harness.reopen() : log;
        for (const [filter, expected] of cases) {
          expect(await positions(opened, { filter })).toEqual(expected);
          expect(await positions(opened, { filter, direction: "backward" })).toEqual([...expected].reverse());
          expect(await positions(opened, { filter, from: 2 })).toEqual(expected.filter((p) => p >= 2));
        }
      }
    }));

  it("counts a limit after the filter", () =>
    withLog(make, async (log) => {
      for (let i = 0; i < 12; i++) await log.append(to("s", sampleEvent({ type: i % 3 === 0 ? "Third" : "Other" })));
      const filter = { types: ["Third"] };
      expect(await positions(log, { filter, limit: 2 })).toEqual([0, 3]);
      expect(await positions(log, { filter, limit: 2, direction: "backward" })).toEqual([9, 6]);
      expect(await revisions(log, "s", { filter, from: 4, limit: 1 })).toEqual([6]);
    }));
}

function endsAndHeads(make: MakeEventLog): void {
  it("shows an append in head, durable end and reads as soon as it resolved", () =>
    withLog(make, async (log, harness) => {
      expect(await log.head("s")).toBe(-1);
      for (let i = 0; i < 10; i++) {
        const { position } = await log.append(to("s", sampleEvent()));
        expect(log.durableEnd).toBe(position + 1);
        expect(await log.head("s")).toBe(i);
        expect(await positions(log, { from: position })).toEqual([position]);
      }
      const again = await harness.reopen();
      expect([await again.head("s"), await again.head("t"), again.durableEnd]).toEqual([9, -1, 10]);
      expect((await again.append(to("s", sampleEvent(), 9))).position).toBe(10);
    }));

  it("never shows a position at or beyond the durable end", () =>
    withLog(make, async (log) => {
      const appends = Array.from({ length: 50 }, (_, i) => log.append(to("s", sampleEvents(1 + (i % 5)))));
      while (log.durableEnd < 150) {
        const seen = await gather(log.read());
        expect(seen.every((e) => e.position < log.durableEnd)).toBe(true);
        await appends.shift();
      }
      await Promise.all(appends);
    }));
}
