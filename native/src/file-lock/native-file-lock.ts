/** flock(2) by the addon: a call of the system, where without it a process is started for each lock, which stops this thread meanwhile. */
import { loadAddon } from "../addon.ts";

const OUTCOMES = new Map<number, "locked" | "held">([
  [1, "locked"],
  [0, "held"],
]);

/**
 * Locks an open file, by its descriptor and without waiting, for as long as its description is open; `held`: another description has
 * the lock; `unavailable`: the file system has no such locks. `undefined` without the addon.
 */
export function nativeFileLock(): ((fd: number) => "locked" | "held" | "unavailable") | undefined {
  const addon = loadAddon();
  return addon && ((fd) => OUTCOMES.get(addon.lockFile(fd)) ?? "unavailable");
}
