import { describe, expect, it } from "vitest";
import type { EventLog, ExpectedRevision, StreamAppend } from "../../log/event-log.ts";
import { gather, sampleEvent, sampleEvents, to, uniqueId } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

const KIB = 1024;

export function appendContract(make: MakeEventLog): void {
  describe("appending", () => {
    expectedRevisions(make);
    placesAndAtomicity(make);
    fieldsAndSizes(make);
    closing(make);
  });
}

/** Heads that make each expected revision hold or fail; -1 is a stream without events. */
const expectations: readonly { expected: ExpectedRevision; holds: readonly number[]; fails: readonly number[] }[] = [
  { expected: "any", holds: [-1, 0, 2], fails: [] },
  { expected: "none", holds: [-1], fails: [0, 2] },
  { expected: "exists", holds: [0, 2], fails: [-1] },
  { expected: 0, holds: [0], fails: [-1, 2] },
  { expected: 2, holds: [2], fails: [-1, 0, 3] },
];

async function fill(log: EventLog, stream: string, head: number): Promise<void> {
  if (head >= 0) await log.append(to(stream, sampleEvents(head + 1)));
}

function expectedRevisions(make: MakeEventLog): void {
  for (const { expected, holds, fails } of expectations) {
    it(`expecting ${expected} accepts heads ${holds.join(", ")} and refuses ${fails.join(", ") || "none"}`, () =>
      withLog(make, async (log) => {
        for (const head of holds) {
          await fill(log, `holds-${head}`, head);
          const result = await log.append(to(`holds-${head}`, sampleEvent(), expected));
          expect(result.revisions).toEqual([head + 1]);
        }
        for (const head of fails) {
          await fill(log, `fails-${head}`, head);
          const end = log.durableEnd;
          await expect(log.append(to(`fails-${head}`, sampleEvent(), expected))).rejects.toMatchObject({
            code: "LOG-WRONG-REVISION",
            details: { stream: `fails-${head}`, expected, actual: head },
          });
          expect(log.durableEnd).toBe(end);
          expect(await log.head(`fails-${head}`)).toBe(head);
        }
      }));
  }

  it("checks an expected revision against appends still in flight", () =>
    withLog(make, async (log) => {
      const inFlight = Array.from({ length: 40 }, (_, i) =>
        log.append(to("s", sampleEvent(), i === 0 ? "none" : i - 1)),
      );
      const results = await Promise.all(inFlight);
      expect(results.map((r) => r.revisions[0])).toEqual(results.map((_, i) => i));
    }));

  it("lets exactly one of many concurrent writers with the same expectation win", () =>
    withLog(make, async (log) => {
      await log.append(to("s", sampleEvent()));
      const settled = await Promise.allSettled(Array.from({ length: 8 }, () => log.append(to("s", sampleEvent(), 0))));
      expect(settled.filter((s) => s.status === "fulfilled")).toHaveLength(1);
      for (const s of settled)
        if (s.status === "rejected") expect(s.reason).toMatchObject({ code: "LOG-WRONG-REVISION" });
      expect(await log.head("s")).toBe(1);
    }));
}

function placesAndAtomicity(make: MakeEventLog): void {
  it("gives dense positions over all streams and dense revisions per stream", () =>
    withLog(make, async (log) => {
      const a = await log.append(to("a", sampleEvents(3)));
      const b = await log.append(to("b", sampleEvents(2)));
      const more = await log.append(to("a", sampleEvents(2)));
      expect(a).toMatchObject({ firstPosition: 0, position: 2, revisions: [2], repeated: false });
      expect(b).toMatchObject({ firstPosition: 3, position: 4, revisions: [1], repeated: false });
      expect(more).toMatchObject({ firstPosition: 5, position: 6, revisions: [4], repeated: false });
      expect(log.durableEnd).toBe(7);
      const all = await gather(log.read());
      expect(all.map((e) => e.position)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(all.map((e) => `${e.stream}${e.revision}`)).toEqual(["a0", "a1", "a2", "b0", "b1", "a3", "a4"]);
    }));

  it("appends to several streams in the order of the request", () =>
    withLog(make, async (log, { oneStream }) => {
      if (oneStream) return refusesSeveral(log);
      await log.append(to("b", sampleEvent()));
      const result = await log.append([
        { stream: "a", expected: "none", events: sampleEvents(2) },
        { stream: "b", expected: 0, events: sampleEvents(1) },
        { stream: "c", expected: "any", events: sampleEvents(1) },
      ]);
      expect(result).toMatchObject({ firstPosition: 1, position: 4, revisions: [1, 1, 0] });
      expect((await gather(log.read({ from: 1 }))).map((e) => e.stream)).toEqual(["a", "a", "b", "c"]);
    }));

  it("writes nothing at all when one of several streams is not as expected", () =>
    withLog(make, async (log, { oneStream }) => {
      if (oneStream) return refusesSeveral(log);
      await log.append(to("b", sampleEvent()));
      const refused = log.append([
        { stream: "a", expected: "none", events: sampleEvents(2) },
        { stream: "b", expected: 7, events: sampleEvents(1) },
      ]);
      await expect(refused).rejects.toMatchObject({
        code: "LOG-WRONG-REVISION",
        details: { stream: "b", expected: 7, actual: 0 },
      });
      expect([await log.head("a"), await log.head("b"), log.durableEnd]).toEqual([-1, 0, 1]);
      const after = await log.append(to("a", sampleEvent(), "none"));
      expect(after.position).toBe(1);
    }));

  it("applies the appends of one caller to one stream in call order", () =>
    withLog(make, async (log) => {
      const events = sampleEvents(60);
      await Promise.all(events.map((event, i) => log.append(to(i % 7 === 3 ? "other" : "s", event))));
      const mine = events.filter((_, i) => i % 7 !== 3).map((e) => e.id);
      expect((await gather(log.readStream("s"))).map((e) => e.id)).toEqual(mine);
    }));

  it("never lets time fall with position", () =>
    withLog(make, async (log) => {
      for (let i = 0; i < 20; i++) await log.append(to(`s${i % 3}`, sampleEvents(1 + (i % 3))));
      const times = (await gather(log.read())).map((e) => e.timeMs);
      expect(times.every((t) => Number.isFinite(t))).toBe(true);
      expect(times).toEqual([...times].sort((x, y) => x - y));
    }));
}

async function refusesSeveral(log: EventLog): Promise<void> {
  const appends = ["a", "b"].flatMap((stream) => to(stream, sampleEvent()));
  await expect(log.append(appends)).rejects.toMatchObject({ code: "LOG-ONE-STREAM" });
  expect([await log.head("a"), await log.head("b"), log.durableEnd]).toEqual([-1, -1, 0]);
}

function fieldsAndSizes(make: MakeEventLog): void {
  it("returns every field as it was given, after reopening too", () =>
    withLog(make, async (log, harness) => {
      const event = sampleEvent({
        type: "Grüße/版 1",
        schemaVersion: 65_535,
        payload: Uint8Array.from({ length: 300 }, (_, i) => i),
        context: {
          causationId: Uint8Array.from({ length: 16 }, (_, i) => 255 - i),
          correlationId: Uint8Array.from({ length: 16 }, (_, i) => i),
          principal: "user:Zoë",
          tenant: "北",
          codeVersion: "1.2.3+abc",
          graph: "vols-en-été",
          graphRevision: 4_000_000,
          node: "nœud ☂",
          epoch: 4_000_000_000,
        },
      });
      await log.append(to("поток-1/🚀", event));
      const same = { ...event, stream: "поток-1/🚀", position: 0, revision: 0 };
      expect(plain((await gather(log.readStream("поток-1/🚀")))[0])).toMatchObject(plain(same));
      const again = await harness.reopen();
      expect(plain((await gather(again.read()))[0])).toMatchObject(plain(same));
      expect(again.id).toBe(log.id);
      expect(again === log).toBe(harness.volatile === true);
    }));

  it("has an id of 32 hex digits", () =>
    withLog(make, async (log) => {
      expect(log.id).toMatch(/^[0-9a-f]{32}$/);
    }));

  it("does not see what a caller does to its bytes after the append resolved", () =>
    withLog(make, async (log) => {
      const event = sampleEvent({ id: Buffer.from(uniqueId()), payload: Buffer.from([1, 2, 3]) });
      const id = [...event.id];
      await log.append(to("s", event));
      event.payload.fill(9);
      event.id.fill(9);
      const stored = (await gather(log.readStream("s")))[0];
      expect([...(stored?.payload ?? [])]).toEqual([1, 2, 3]);
      expect([...(stored?.id ?? [])]).toEqual(id);
    }));

  it("stores empty and large payloads", () =>
    withLog(make, async (log, harness) => {
      const sizes = [0, 1, 4095, 4096, 70_000, Math.min(KIB * KIB, log.appendBytesMax - 64 * KIB)];
      for (const size of sizes) {
        await log.append(to("s", sampleEvent({ payload: Uint8Array.from({ length: size }, (_, i) => i * 31) })));
      }
      const stored = await gather((await harness.reopen()).readStream("s"));
      expect(stored.map((e) => e.payload.length)).toEqual(sizes);
      expect(stored.every((e) => e.payload.every((byte, i) => byte === ((i * 31) & 255)))).toBe(true);
    }));

  it("refuses an append larger than its limit, counted over all its streams, and goes on", () =>
    withLog(make, async (log, { oneStream }) => {
      const half = sampleEvent({ payload: new Uint8Array(Math.ceil(log.appendBytesMax / 2)) });
      const other = sampleEvent({ payload: half.payload });
      const several: readonly StreamAppend[] = [
        { stream: "a", expected: "any", events: [half] },
        { stream: "b", expected: "any", events: [other] },
      ];
      const tooLarge = log.append(oneStream ? to("a", [half, other]) : several);
      await expect(tooLarge).rejects.toMatchObject({ code: "LOG-TOO-LARGE" });
      expect(log.durableEnd).toBe(0);
      expect((await log.append(to("a", sampleEvent(), "none"))).position).toBe(0);
    }));
}

function closing(make: MakeEventLog): void {
  it("finishes appends in flight when it is closed, then refuses every call", () =>
    withLog(make, async (log) => {
      const inFlight = Array.from({ length: 5 }, () => log.append(to("s", sampleEvent())));
      const closed = log.close();
      expect((await Promise.all(inFlight)).map((r) => r.position)).toEqual([0, 1, 2, 3, 4]);
      await closed;
      const code = { code: "LOG-CLOSED" };
      await expect(log.append(to("s", sampleEvent()))).rejects.toMatchObject(code);
      await expect(log.head("s")).rejects.toMatchObject(code);
      await expect((async () => gather(log.read()))()).rejects.toMatchObject(code);
      await expect((async () => gather(log.readStream("s")))()).rejects.toMatchObject(code);
      await log.close();
    }));
}

/** Fields of a lazily decoded event as own properties, so that matchers see them. */
function plain(event: object | undefined): Record<string, unknown> {
  const e = event as unknown as { context: Record<string, unknown> } & Record<string, unknown>;
  const names = ["id", "type", "schemaVersion", "context", "payload", "stream", "position", "revision"];
  const own = Object.fromEntries(names.map((name) => [name, bytesAsText(e[name])]));
  const contextNames = [
    "causationId",
    "correlationId",
    "principal",
    "tenant",
    "codeVersion",
    "graph",
    "graphRevision",
    "node",
    "epoch",
  ];
  return { ...own, context: Object.fromEntries(contextNames.map((name) => [name, bytesAsText(e.context[name])])) };
}

/** Buffers and plain byte arrays compare equal when their bytes do. */
function bytesAsText(value: unknown): unknown {
  return value instanceof Uint8Array ? Array.from(value).join(",") : value;
}
