/**
 * What hosts that were killed left in memory. A host frees what the one before it left in the same place; where a data directory is
 * never used again, the payloads would stay until the machine restarts.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { loadAddon } from "../addon.ts";

const AGE_MS = 60 * 60 * 1000;

/**
 * Removes the stores in `parent` with such names that no process uses and in which nothing has changed for `ageMs`, by default an hour.
 * What cannot be removed, or looked at without the addon, stays.
 */
export async function removeAbandonedStores(parent: string, name: RegExp, ageMs: number = AGE_MS): Promise<void> {
  const addon = loadAddon();
  if (addon === undefined) return;
  const names = await readdir(parent).catch(() => []);
  const stores = names.filter((found) => name.test(found)).map((found) => join(parent, found));
  const abandoned = stores.filter((store) => addon.isLodgeAbandoned(store, ageMs));
  await Promise.all(abandoned.map((store) => rm(store, { recursive: true, force: true }).catch(() => undefined)));
}
