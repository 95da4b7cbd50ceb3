import type { EventLog, ReadOptions } from "@millrace/engine";
import { expect, it } from "vitest";
import { EventTail } from "./event-tail.ts";
import type { Beat } from "./live-feed.ts";

it("a filtered tail looks at a bounded part of what is new, and counts the rest as skipped", async () => {
  const reads: ReadOptions[] = [];
  async function* read(options: ReadOptions): AsyncGenerator<readonly never[]> {
    reads.push(options);
    yield [];
  }
  const filter = { types: ["Counted"] };
  const tail = new EventTail({ read } as unknown as EventLog, filter, 10);
  const end = 1_000_010;
  expect(await tail.next({ end } as Beat)).toEqual({ events: [], skipped: 980_000, end });
  expect(reads).toEqual([{ from: end - 20_000, direction: "forward", filter }]);
});
