/** Conditions over streams. A log that takes none passes: then it has no `appendIf`, and nobody can be misled. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventFilter } from "../../log/event-filter.ts";
import type { EventFilter, EventLog, RecordedEvent } from "../../log/event-log.ts";
import { gather, sampleEvent, tagged, to, uniqueId } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

type Conditional = EventLog & { readonly appendIf: NonNullable<EventLog["appendIf"]> };

export function conditionContract(make: MakeEventLog): void {
  const withConditions = (body: (log: Conditional) => Promise<void>): Promise<void> =>
    withLog(make, async (log) => {
      if (takesConditions(log)) await body(log);
    });

  describe("conditions", () => {
    it("let an append pass that knows every event of its boundary, and no other", () =>
      withConditions(async (log) => {
        const correlationId = uniqueId();
        await log.append(to("seat-1", sampleEvent({ type: "Offered" })));
        await log.append(to("seat-2", sampleEvent({ type: "Taken", context: { correlationId } })));
        await log.append(to("other", sampleEvent({ type: "Heard" })));
        const taken = sampleEvent({ type: "Taken" });
        for (const none of [[{ category: "seat" }], [{ types: ["Taken"] }], [{ correlationId }]] as EventFilter[][])
          await expect(log.appendIf({ none, after: 0 }, to("seat-3", taken))).rejects.toMatchObject({
            code: "LOG-CONDITION",
            details: { position: 1, stream: "seat-2", type: "Taken", after: 0 },
          });
        const two = [{ types: ["Heard"] }, { types: ["Taken"] }];
        await expect(log.appendIf({ none: two, after: -1 }, to("seat-3", taken))).rejects.toMatchObject({
          details: { position: 1 },
        });
        const result = await log.appendIf({ none: [{ category: "seat" }], after: 1 }, to("seat-3", taken));
        expect(result).toMatchObject({ position: 3, repeated: false });
        expect(await log.appendIf({ none: [], after: -1 }, to("seat-4", sampleEvent()))).toMatchObject({ position: 4 });
      }));

    it("recognise a retry by its own events", () =>
      withConditions(async (log) => {
        const append = to("seat-1", [sampleEvent({ type: "Offered" }), sampleEvent({ type: "Taken" })]);
        const condition = { none: [{ types: ["Taken"] }], after: -1 };
        const both = await Promise.all([log.appendIf(condition, append), log.appendIf(condition, append)]);
        expect(both.map(({ repeated }) => repeated).sort()).toEqual([false, true]);
        await log.append(to("seat-2", sampleEvent({ type: "Taken" })));
        expect(await log.appendIf(condition, append)).toMatchObject({ firstPosition: 0, position: 1, repeated: true });
        expect(log.durableEnd).toBe(3);
      }));

    it("hold beside an expected revision", () =>
      withConditions(async (log) => {
        await log.append(to("a", sampleEvent()));
        const condition = { none: [{ types: ["Other"] }], after: -1 };
        await expect(log.appendIf(condition, to("a", sampleEvent(), "none"))).rejects.toMatchObject({
          code: "LOG-WRONG-REVISION",
        });
      }));

    it("let one of many rivals pass that decided on the same events", () =>
      withConditions(async (log) => {
        for (let round = 0; round < 5; round++) {
          const after = log.durableEnd - 1;
          const none = [{ category: "seat" }];
          const noise = Array.from({ length: 10 }, (_, i) => log.append(to(`noise-${i}`, sampleEvent())));
          const rivals = Array.from({ length: 8 }, (_, i) =>
            log.appendIf({ none, after }, to(`seat-${i}`, sampleEvent({ type: "Taken" }))),
          );
          const outcomes = await Promise.allSettled([...rivals, ...noise]);
          const passed = outcomes.slice(0, 8).filter(({ status }) => status === "fulfilled");
          expect(passed.length).toBe(1);
          expect(outcomes.slice(8).every(({ status }) => status === "fulfilled")).toBe(true);
        }
      }));

    it("never let an event pass that breaks one, whatever is appended at once", async () => {
      const filter = fc.constantFrom<EventFilter>(
        { types: ["A"] },
        { types: ["B"] },
        { category: "x" },
        { streamPrefix: "y" },
        { tags: ["t"] },
        { tags: ["t", "u"], types: ["A"] },
      );
      const attempt = fc.record({
        stream: fc.constantFrom("x-1", "x-2", "y", "z"),
        type: fc.constantFrom("A", "B", "C"),
        tags: fc.subarray(["t", "u"]),
        none: fc.option(fc.array(filter, { minLength: 1, maxLength: 2 }), { nil: undefined }),
        behind: fc.nat(2),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(attempt, { minLength: 1, maxLength: 6 }), { maxLength: 6 }), (rounds) =>
          withConditions(async (log) => {
            for (const round of rounds) {
              const end = log.durableEnd;
              const outcomes = await Promise.all(
                round.map(async ({ stream, type, tags, none, behind }) => {
                  const append = to(stream, sampleEvent({ type, ...tagged(tags) }));
                  const after = Math.max(-1, end - 1 - behind);
                  const appending = none === undefined ? log.append(append) : log.appendIf({ none, after }, append);
                  return appending.then(
                    ({ position }) => ({ none, after, position, broken: undefined }),
                    (thrown: { details: { position: number } }) => ({ none, after, position: -1, broken: thrown }),
                  );
                }),
              );
              const all = await gather(log.read());
              for (const { none = [], after, position, broken } of outcomes) {
                const breaks = (event: RecordedEvent) =>
                  event.position > after && none.some((one) => eventFilter(one)(event));
                if (broken === undefined) expect(all.filter((e) => e.position < position && breaks(e))).toEqual([]);
                else expect(all.find(breaks)?.position).toBe(broken.details.position);
              }
            }
          }),
        ),
        { numRuns: 25 },
      );
    }, 60_000);
  });
}

function takesConditions(log: EventLog): log is Conditional {
  return log.appendIf !== undefined;
}
