/** A graph whose target is gone, from outside: its source reads no more than there is room for. */
import type { NodeStatus } from "@millrace/engine";
import { expect, vi } from "vitest";
import { WAIT } from "./running-graph.ts";

/** What the source `in` has read when it stands still, as `out` finds its target gone again and again. */
export async function readBeforePause(node: (name: string) => NodeStatus): Promise<number> {
  await vi.waitFor(() => expect(node("out").connection?.state).toBe("suspended"), WAIT);
  const failures = (): number => node("out").connection?.failures ?? 0;
  // It may still read what there is room for when the target is known to be gone; then it reads nothing while that is tried again.
  for (;;) {
    const read = node("in").messagesIn;
    const before = failures();
    await vi.waitFor(() => expect(failures()).toBeGreaterThan(before + 1), WAIT);
    if (node("in").messagesIn === read) return read;
  }
}
