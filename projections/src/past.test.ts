import type { EventLog, ReadOptions, RecordedEvent } from "@millrace/engine";
import { expect, it } from "vitest";
import { positionAfter } from "./past.ts";

/** Events at these positions; their times, in ms, are their positions. */
function sparse(positions: readonly number[]): Pick<EventLog, "durableEnd" | "read"> {
  const events = positions.map((position) => ({ position, timeMs: position }) as RecordedEvent);
  async function* read({ from = 0 }: ReadOptions = {}): AsyncGenerator<readonly RecordedEvent[]> {
    yield events.filter(({ position }) => position >= from);
  }
  return { durableEnd: (positions.at(-1) ?? -1) + 1, read };
}

it("finds a moment among positions with gaps, beyond 32 bits", async () => {
  const positions = [5, 2 ** 31, 2 ** 33, 2 ** 40];
  for (const [i, position] of positions.entries()) {
    const found = await positionAfter(sparse(positions), position);
    expect(found).toBeGreaterThan(position);
    expect(found).toBeLessThanOrEqual(positions[i + 1] ?? position + 1);
  }
});
