import { describe, expect, it } from "vitest";
import type { ExpectedRevision } from "../../log/event-log.ts";
import { sampleEvent, sampleEvents, to } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

export function retryContract(make: MakeEventLog): void {
  describe("retrying an append with the same ids", () => {
    const starts: readonly (readonly [ExpectedRevision, number])[] = [
      ["any", 0],
      ["none", 0],
      ["exists", 1],
      [0, 1],
    ];
    for (const [expected, before] of starts) {
      it(`expecting ${expected} answers with the first result and writes nothing`, () =>
        withLog(make, async (log) => {
          if (before > 0) await log.append(to("s", sampleEvents(before)));
          const append = to("s", sampleEvents(3), expected);
          const first = await log.append(append);
          expect(first.repeated).toBe(false);
          expect(await log.append(append)).toEqual({ ...first, repeated: true });
          expect(log.durableEnd).toBe(before + 3);
          expect(await log.head("s")).toBe(before + 2);
        }));

      it(`expecting ${expected} still does after later appends`, () =>
        withLog(make, async (log) => {
          if (before > 0) await log.append(to("s", sampleEvents(before)));
          const append = to("s", sampleEvents(2), expected);
          const first = await log.append(append);
          for (let i = 0; i < 5; i++) await log.append(to(i % 2 === 0 ? "s" : "t", sampleEvent()));
          const end = log.durableEnd;
          expect(await log.append(append)).toEqual({ ...first, repeated: true });
          expect(log.durableEnd).toBe(end);
        }));
    }

    it("answers for all streams of the append", () =>
      withLog(make, async (log, { oneStream }) => {
        if (oneStream) return;
        const append = [
          { stream: "a", expected: "none" as const, events: sampleEvents(2) },
          { stream: "b", expected: "none" as const, events: sampleEvents(1) },
        ];
        const first = await log.append(append);
        await log.append(to("b", sampleEvent()));
        expect(await log.append(append)).toEqual({ ...first, repeated: true });
        expect(log.durableEnd).toBe(4);
      }));

    it("answers after reopening", () =>
      withLog(make, async (log, harness) => {
        await log.append(to("s", sampleEvent()));
        const append = to("s", sampleEvents(2), 0);
        const first = await log.append(append);
        await log.append(to("s", sampleEvent()));
        const again = await harness.reopen();
        expect(await again.append(append)).toEqual({ ...first, repeated: true });
        expect(again.durableEnd).toBe(4);
      }));

    it("writes once when the retry overtakes the first answer", () =>
      withLog(make, async (log) => {
        for (const expected of ["none", "any", 3] as const) {
          const append = to("s", sampleEvents(2), expected);
          const results = await Promise.all([log.append(append), log.append(append), log.append(append)]);
          expect(results.map((r) => r.position)).toEqual([0, 0, 0].map(() => results[0]?.position));
          expect(results.map((r) => r.repeated).sort()).toEqual([false, true, true]);
        }
        expect(await log.head("s")).toBe(5);
      }));

    it("is not a retry when the ids stand in another stream", () =>
      withLog(make, async (log) => {
        const events = sampleEvents(1);
        await log.append(to("s", sampleEvents(2)));
        await log.append(to("t", events));
        const elsewhere = await log.append(to("s", events));
        expect(elsewhere).toMatchObject({ repeated: false, revisions: [2] });
        expect(await log.append(to("u", events))).toMatchObject({ repeated: false, revisions: [0] });
        expect(await log.append(to("s", events))).toEqual({ ...elsewhere, repeated: true });
      }));

    it("is not a retry when the ids are new", () =>
      withLog(make, async (log) => {
        await log.append(to("s", sampleEvent(), "none"));
        await expect(log.append(to("s", sampleEvent(), "none"))).rejects.toMatchObject({ code: "LOG-WRONG-REVISION" });
        expect((await log.append(to("s", sampleEvent()))).repeated).toBe(false);
      }));
  });
}
