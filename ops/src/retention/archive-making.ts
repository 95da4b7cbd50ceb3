/** What makes the archive of a segment one of this host: leaves that were signed, and a twin for analysts. */
import { nativeTreeHasher } from "@millrace/native";
import { openSignedLeaves } from "@millrace/projections";
import { type ArchiveMaking, systemDisk } from "@millrace/streams/embedded";

/**
 * @param audit folder of the Merkle tree
 * @param pause called between pieces of work
 * @throws AUDIT-KEY, AUDIT-CHECKPOINT
 */
export async function archiveMaking(
  audit: string,
  logId: string,
  parquet: boolean,
  pause: () => Promise<void>,
): Promise<ArchiveMaking & { readonly signedEnd: number }> {
  const leaves = await openSignedLeaves(systemDisk(), audit, logId, nativeTreeHasher());
  const { EventTwin } = await import("./event-twin.ts");
  return {
    signedEnd: leaves.end,
    leavesOf: (records) => leaves.leavesOf(records),
    checkLeaves: (first, bytes) => leaves.check(first, bytes, pause),
    twin: parquet ? () => new EventTwin() : undefined,
    pause,
  };
}
