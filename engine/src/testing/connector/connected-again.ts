import { expect, vi } from "vitest";
import type { ConnectionStatus } from "../../connection/connection-status.ts";

/** Below the limit of a test, so that what did not come is named. */
const WAIT = { timeout: 45_000, interval: 5 };

/** Resolves when there is another connection than `before`, and it is up. */
export async function isConnectedAgain(before: ConnectionStatus, now: () => ConnectionStatus): Promise<void> {
  await vi.waitFor(() => {
    const status = now();
    expect(status).toMatchObject({ state: "up" });
    expect(status.connects).toBeGreaterThan(before.connects);
  }, WAIT);
}
