/**
 * Compares leaf hashes of records with what was signed, before the records leave the log: from then on the leaf hashes are all
 * that proofs are made of (L-R27).
 */
import type { Disk, StoredRecords } from "@millrace/engine";
import { openAuditProofs } from "./audit-proofs.ts";
import { HASH_BYTES } from "./merkle.ts";
import { TILE_WIDTH } from "./tile.ts";
import { inlineTreeHasher, type TreeHasher } from "./tree-hasher.ts";

export interface SignedLeaves {
  /** The newest checkpoint covers the positions below. */
  readonly end: number;
  /** The leaves of whole positions, 32 bytes each. */
  leavesOf(records: StoredRecords): Promise<Uint8Array>;
  /**
   * @param leaves of the positions from `first` on, 32 bytes each
   * @param pause called between tiles, for whoever shares the thread
   * @throws LOG-FORK a record is not the one that was signed
   * @throws AUDIT-TILE the tiles do not lead to the signed root
   */
  check(first: number, leaves: Uint8Array, pause?: () => Promise<void>): Promise<void>;
}

/** @throws AUDIT-KEY, AUDIT-CHECKPOINT there is no checkpoint, or it does not hold */
export async function openSignedLeaves(
  disk: Disk,
  parent: string,
  logId: string,
  hasher: TreeHasher = inlineTreeHasher(),
): Promise<SignedLeaves> {
  const proofs = await openAuditProofs(disk, parent, logId);
  return {
    end: proofs.checkpoint.size,
    leavesOf: (records) => hasher.leaves(records),
    check: async (first, leaves, pause = async () => undefined) => {
      for (let at = 0; at < leaves.length; at += HASH_BYTES) {
        const position = first + at / HASH_BYTES;
        const leaf = leaves.subarray(at, at + HASH_BYTES);
        // The path of one leaf checks the hashes of the whole tile against the signed root; the others are compared with the tile.
        if (at === 0 || position % TILE_WIDTH === 0) {
          await pause();
          await proofs.inclusion(position, leaf);
        } else await proofs.mustBe(position, leaf);
      }
    },
  };
}
