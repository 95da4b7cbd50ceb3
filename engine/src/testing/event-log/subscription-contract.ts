import { describe, expect, it } from "vitest";
import type { EventFilter, EventLog, RecordedEvent, SubscriptionBatch } from "../../log/event-log.ts";
import { systemEnv } from "../../time/system-env.ts";
import { sampleEvent, sampleEvents, to } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

const { turns } = systemEnv();

export function subscriptionContract(make: MakeEventLog): void {
  describe("subscribing", () => {
    delivery(make);
    progress(make);
    ending(make);
  });
}

interface Seen {
  readonly positions: readonly number[];
  readonly batches: readonly SubscriptionBatch[];
}

/** Follows `log` until `done` says so, then aborts. Checks on the way what holds for every batch. */
async function follow(
  log: EventLog,
  options: { readonly from?: number; readonly filter?: EventFilter },
  done: (positions: readonly number[], batch: SubscriptionBatch) => boolean,
  between: (batch: SubscriptionBatch) => Promise<void> = async () => {},
): Promise<Seen> {
  const abort = new AbortController();
  const positions: number[] = [];
  const batches: SubscriptionBatch[] = [];
  let end = options.from ?? 0;
  for await (const batch of log.subscribe({ ...options, signal: abort.signal })) {
    if (abort.signal.aborted) continue;
    expect(batch.end).toBeGreaterThanOrEqual(end);
    expect(batch.end).toBeLessThanOrEqual(log.durableEnd);
    expect(batch.events.every((e: RecordedEvent) => e.position >= end && e.position < batch.end)).toBe(true);
    end = batch.end;
    positions.push(...batch.events.map((e) => e.position));
    batches.push(batch);
    if (done(positions, batch)) abort.abort();
    else await between(batch);
  }
  return { positions, batches };
}

const upTo = (end: number, from = 0): number[] => Array.from({ length: end - from }, (_, i) => from + i);

function delivery(make: MakeEventLog): void {
  it("catches up, then goes on live, each event once and in order", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(150)));
      let late: Promise<unknown> = Promise.resolve();
      const seen = await follow(
        log,
        {},
        (_, batch) => batch.end === 200,
        async (batch) => {
          if (batch.end !== 150) return;
          late = Promise.all(Array.from({ length: 50 }, () => log.append(to("s", sampleEvent()))));
        },
      );
      await late;
      expect(seen.positions).toEqual(upTo(200));
      expect(seen.batches.some((b) => b.live)).toBe(true);
    }));

  it("misses nothing and repeats nothing while appends race with the catch-up", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(40)));
      const appends = (async () => {
        for (let i = 0; i < 60; i++) await log.append(to(`s${i % 5}`, sampleEvents(1 + (i % 3))));
      })();
      const seen = await follow(log, {}, (_, batch) => batch.end === 160);
      await appends;
      expect(seen.positions).toEqual(upTo(160));
    }));

  it("begins at a position, at the durable end too", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(10)));
      expect((await follow(log, { from: 7 }, (_, b) => b.end === 10)).positions).toEqual([7, 8, 9]);
      const following = follow(log, { from: 10 }, (p) => p.length === 2);
      await log.append(to("s", sampleEvents(2)));
      expect((await following).positions).toEqual([10, 11]);
    }));

  it("serves several subscriptions independently", () =>
    withLog(make, async (log) => {
      const all = follow(log, {}, (_, b) => b.end === 30);
      const odd = follow(log, { filter: { types: ["Odd"] } }, (_, b) => b.end === 30);
      const later = follow(log, { from: 20 }, (_, b) => b.end === 30);
      for (let i = 0; i < 30; i++) await log.append(to("s", sampleEvent({ type: i % 2 === 1 ? "Odd" : "Even" })));
      expect((await all).positions).toEqual(upTo(30));
      expect((await odd).positions).toEqual(upTo(30).filter((p) => p % 2 === 1));
      expect((await later).positions).toEqual(upTo(30, 20));
    }));

  it("gives a slow consumer everything, from the log, without holding up appends", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(5)));
      let stalled = false;
      const seen = await follow(
        log,
        {},
        (_, batch) => batch.end === 505,
        async () => {
          if (stalled) return;
          stalled = true;
          for (let i = 0; i < 50; i++) await log.append(to("s", sampleEvents(10)));
        },
      );
      expect(seen.positions).toEqual(upTo(505));
    }));
}

function progress(make: MakeEventLog): void {
  it("moves `end` over events that do not pass the filter", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(20, { type: "Other" })));
      let appended: Promise<unknown> = Promise.resolve();
      const seen = await follow(
        log,
        { filter: { types: ["Wanted"] } },
        (_, batch) => batch.end === 31,
        async (batch) => {
          if (batch.end !== 20) return;
          appended = (async () => {
            await log.append(to("s", sampleEvents(10, { type: "Other" })));
            await log.append(to("s", sampleEvent({ type: "Wanted" })));
          })();
        },
      );
      await appended;
      expect(seen.positions).toEqual([30]);
      expect(seen.batches.find((b) => b.end === 20)).toMatchObject({ events: [], live: true });
    }));

  it("is silent while nothing happens", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvent()));
      const abort = new AbortController();
      const ends: number[] = [];
      const following = (async () => {
        for await (const batch of log.subscribe({ from: 1, signal: abort.signal })) ends.push(batch.end);
      })();
      for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => turns.yieldToIo(resolve));
      abort.abort();
      await following;
      expect(ends).toEqual([1]);
    }));

  it("says so at once when there is nothing to catch up with", () =>
    withLog(make, async (log) => {
      const seen = await follow(log, {}, (_, batch) => batch.live);
      expect(seen.batches).toHaveLength(1);
      expect(seen.batches[0]).toMatchObject({ events: [], end: 0, live: true });
    }));
}

function ending(make: MakeEventLog): void {
  it("ends without an error when its signal aborts, waiting or not", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(3)));
      const abort = new AbortController();
      let batches = 0;
      const waiting = (async () => {
        for await (const _ of log.subscribe({ from: 3, signal: abort.signal })) batches += 1;
      })();
      await log.head("s");
      abort.abort();
      await waiting;
      expect(batches).toBeLessThanOrEqual(1);
      for await (const _ of log.subscribe({ signal: abort.signal })) expect.unreachable("aborted before it began");
    }));

  it("can be left by breaking out of the loop", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvents(3)));
      const abort = new AbortController();
      for await (const batch of log.subscribe({ signal: abort.signal })) {
        expect(batch.events.length).toBeGreaterThan(0);
        break;
      }
      await log.append(to("s", sampleEvent()));
    }));

  it("ends when the log is closed", () =>
    withLog(make, async (log) => {
      const abort = new AbortController();
      const following = (async () => {
        for await (const _ of log.subscribe({ signal: abort.signal }));
      })();
      await log.append(to("s", sampleEvent()));
      await log.close();
      await following.catch((error: unknown) => expect(error).toMatchObject({ code: "LOG-CLOSED" }));
    }));
}
