/** The hashes of the log's Merkle tree by the addon, in a thread of libuv's: the thread that asks has its time for appends. */
import type { StoredRecords } from "@millrace/engine";
import { loadAddon } from "../addon.ts";

/** See `TreeHasher` of projections, whose shape this has. */
export interface NativeTreeHasher {
  leaves(records: Pick<StoredRecords, "bytes" | "places">): Promise<Uint8Array>;
  tileRoots(tiles: Uint8Array): Promise<Uint8Array>;
}

/**
 * `undefined` without the addon. What it is given must stay as it is until the answer. Both reject what is no sequence of whole
 * positions, or no full tiles.
 */
export function nativeTreeHasher(): NativeTreeHasher | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    leaves: ({ bytes, places }) => addon.leafHashes(bytes, places),
    tileRoots: (tiles) => addon.tileRoots(tiles),
  };
}
