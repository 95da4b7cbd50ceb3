/** Proofs from the tiles of a log's tree, against its newest checkpoint. */
import type { Disk } from "@millrace/engine";
import { AuditDirectory, type SignedCheckpoint } from "./audit-directory.ts";
import { auditError } from "./audit-errors.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { sameHash } from "./merkle.ts";
import { consistencyProof, inclusionProof, isConsistent, rootByInclusion, type TreeHead } from "./proof.ts";
import { formatVerifierKey, signersOf, splitNote, type VerifierKey } from "./signed-note.ts";
import { TreeReader } from "./tree-reader.ts";

export interface AuditProofs {
  /** What every proof leads to. */
  readonly checkpoint: SignedCheckpoint;
  /** What others check it with. */
  readonly verifierKey: string;
  /** The leaf at `position`, as the tree has it. @throws AUDIT-RANGE, AUDIT-TILE */
  leaf(position: number): Promise<Uint8Array>;
  /**
   * That `leaf` is at `position`.
   *
   * @throws AUDIT-RANGE the checkpoint does not cover the position
   * @throws AUDIT-TILE a tile is missing or damaged, so that no proof comes out of it
   * @throws LOG-FORK the tree has another leaf there
   */
  inclusion(position: number, leaf: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Compares `leaf` with the tree's at `position`. @throws AUDIT-RANGE, AUDIT-TILE, LOG-FORK the tree has another there */
  mustBe(position: number, leaf: Uint8Array): Promise<void>;
  /** That the tree of the first `size` leaves is the beginning of the checkpoint's. @throws AUDIT-RANGE, AUDIT-TILE */
  consistency(size: number): Promise<{ readonly root: Uint8Array; readonly hashes: readonly Uint8Array[] }>;
}

/** What others check the checkpoints of a log with. @throws AUDIT-KEY there is none yet, or it does not decode */
export async function auditVerifierKey(disk: Disk, parent: string, logId: string): Promise<string> {
  return formatVerifierKey(await new AuditDirectory(disk, parent, logId).verifierKey());
}

/** @throws AUDIT-KEY, AUDIT-CHECKPOINT there is no checkpoint, or it does not hold */
export async function openAuditProofs(disk: Disk, parent: string, logId: string): Promise<AuditProofs> {
  const { directory, key, checkpoint } = await newest(disk, parent, logId);
  return proofsOf(directory, checkpoint, key);
}

/**
 * The same against the newest checkpoint that witnesses have cosigned; `undefined` when there is none.
 *
 * @throws AUDIT-KEY, AUDIT-CHECKPOINT
 */
export async function openCosignedProofs(disk: Disk, parent: string, logId: string): Promise<AuditProofs | undefined> {
  const { directory, key, checkpoint } = await newest(disk, parent, logId);
  const note = await directory.cosignedCheckpoint();
  const cosigned = note === undefined ? undefined : openCheckpoint(note, key);
  if (note === undefined || cosigned === undefined || cosigned.size > checkpoint.size) return undefined;
  return proofsOf(directory, { ...cosigned, note }, key);
}

/** Who is said to have cosigned the checkpoint, by name. */
export function cosignersOf({ origin, note }: SignedCheckpoint): readonly string[] {
  return signersOf(splitNote(note)?.lines ?? []).filter((name) => name !== origin);
}

interface Newest {
  readonly directory: AuditDirectory;
  readonly key: VerifierKey;
  readonly checkpoint: SignedCheckpoint;
}

async function newest(disk: Disk, parent: string, logId: string): Promise<Newest> {
  const directory = new AuditDirectory(disk, parent, logId);
  const key = await directory.verifierKey();
  const checkpoint = await directory.checkpoint(key);
  if (checkpoint !== undefined) return { directory, key, checkpoint };
  throw auditError("AUDIT-CHECKPOINT", "there is no checkpoint", { place: { file: `${directory.path}/checkpoint` } });
}

function proofsOf({ tiles }: AuditDirectory, checkpoint: SignedCheckpoint, key: VerifierKey): AuditProofs {
  const tree = new TreeReader(tiles, checkpoint.size);
  return {
    checkpoint,
    verifierKey: formatVerifierKey(key),
    leaf: (position) => tree.rangeRoot(position, position + 1),
    inclusion: (position, leaf) => inclusion(tree, checkpoint, position, leaf),
    mustBe: async (position, leaf) => mustBeSame(position, leaf, await tree.rangeRoot(position, position + 1)),
    consistency: (size) => treeConsistency(tree, checkpoint, size),
  };
}

async function inclusion(
  tree: TreeReader,
  { size, root }: SignedCheckpoint,
  position: number,
  leaf: Uint8Array,
): Promise<readonly Uint8Array[]> {
  const proof = await inclusionProof(tree, position);
  const stored = await tree.rangeRoot(position, position + 1);
  const place = { position };
  if (!sameHash(rootByInclusion(stored, position, size, proof) ?? stored, root))
    throw auditError("AUDIT-TILE", `the tiles do not lead from position ${position} to the signed root`, { place });
  mustBeSame(position, leaf, stored);
  return proof;
}

function mustBeSame(position: number, leaf: Uint8Array, stored: Uint8Array): void {
  if (sameHash(leaf, stored)) return;
  const place = { position };
  throw auditError("LOG-FORK", `the record at position ${position} is not the one that was signed`, { place });
}

/** The hashes that lead from the first `size` leaves to the checkpoint, and their root. @throws AUDIT-RANGE, AUDIT-TILE */
export async function treeConsistency(
  tree: TreeReader,
  checkpoint: TreeHead,
  size: number,
): Promise<{ readonly root: Uint8Array; readonly hashes: readonly Uint8Array[] }> {
  const hashes = await consistencyProof(tree, size);
  const root = await tree.rangeRoot(0, size);
  if (!isConsistent({ size, root }, checkpoint, hashes))
    throw auditError("AUDIT-TILE", `the tiles do not lead from ${size} records to the signed root`);
  return { root, hashes };
}
