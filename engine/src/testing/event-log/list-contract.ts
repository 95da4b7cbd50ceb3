import { describe, expect, it } from "vitest";
import { eventFilter, listFilter } from "../../log/event-filter.ts";
import type { EventList } from "../../log/event-list.ts";
import type { EventLog, RecordedEvent } from "../../log/event-log.ts";
import { gather, sampleEvent, tagged, to, uniqueId } from "../sample-events.ts";
import { type MakeEventLog, withLog } from "./harness.ts";

/** Of a log that keeps numbered lists; of any other only that their filters are honoured. */
export function listContract(make: MakeEventLog): void {
  describe("lists across streams", () => {
    const correlationId = uniqueId();
    const long = "c".repeat(400);
    const lists: readonly EventList[] = [
      { category: "order" },
      { category: "ord" },
      { category: "order/ü" },
      { category: long },
      { category: `${long}d` },
      { category: "nobody" },
      { category: "$$order" },
      { type: "Placed" },
      { type: "Unheard" },
      { type: "$metadata" },
      { correlationId },
      { correlationId: uniqueId() },
      { starts: true },
      { tag: "seat:17" },
      { tag: 'a "quoted" ü\\' },
      { tag: long },
      { tag: `${long}d` },
      { tag: "nobody" },
    ];
    const streams = [
      "order-1",
      "order-2",
      "ord-1",
      "order",
      "-x",
      "order/ü-1-2",
      `${long}-1`,
      `${long}d-1`,
      "$$order-1",
    ];

    const tagLists = [
      ["seat:17"],
      ["seat:17", "seat:17", 17],
      ['a "quoted" ü\\', long, `${long}d`],
      [],
      [long, "seat:17"],
    ];

    const fill = async (log: EventLog, count: number, seed: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const at = i * 7 + seed;
        const type = ["Placed", "Paid", "$metadata"][at % 3] as string;
        const context = at % 5 === 0 ? { correlationId } : {};
        const tags = at % 2 === 0 ? tagged(tagLists[at % tagLists.length] ?? []) : {};
        await log.append(
          to(
            streams[at % streams.length] as string,
            Array.from({ length: 1 + (at % 4) }, () => sampleEvent({ type, context, ...tags })),
          ),
        );
      }
    };

    const agree = async (log: EventLog): Promise<void> => {
      const all = await gather(log.read());
      for (const list of lists) {
        const filter = listFilter(list);
        const expected = all.filter(eventFilter(filter)).map(({ position }) => position);
        const positions = (events: readonly RecordedEvent[]) => events.map(({ position }) => position);
        expect(positions(await gather(log.read({ filter })))).toEqual(expected);
        expect(positions(await gather(log.read({ filter, direction: "backward" })))).toEqual([...expected].reverse());
        const from = Math.floor(all.length / 2);
        expect(positions(await gather(log.read({ filter, direction: "backward", from })))).toEqual(
          expected.filter((position) => position <= from).reverse(),
        );
        if (log.lists === undefined) continue;
        expect(await log.lists.countOf(list)).toBe(expected.length);
        for (const number of [0, 1, expected.length >> 1, expected.length - 1, expected.length])
          if (number >= 0) expect(await log.lists.positionOf(list, number)).toBe(expected[number]);
      }
    };

    it("are what passes their filters, in the order of positions, numbered from 0", () =>
      withLog(make, async (log, harness) => {
        await agree(log);
        await fill(log, 40, 0);
        await agree(log);
        const again = await harness.reopen();
        await agree(again);
        await fill(again, 40, 3);
        await agree(again);
        await agree(await harness.reopen());
      }));

    it("number events while others are appended", () =>
      withLog(make, async (log) => {
        if (log.lists === undefined) return;
        const list = { category: "order" };
        const appends = Array.from({ length: 60 }, (_, i) => log.append(to(`order-${i % 7}`, sampleEvent())));
        for (let i = 0; i < 60; i++) {
          await appends[i];
          expect(await log.lists.countOf(list)).toBeGreaterThan(i);
          expect(await log.lists.positionOf(list, i)).toBe(i);
        }
      }));
  });
}
