/** Proofs of RFC 6962 (sections 2.1.1 and 2.1.2), made from tiles and checked without them. */
import { auditError } from "./audit-errors.ts";
import { EMPTY_ROOT, nodeHash, sameHash } from "./merkle.ts";

import { isPowerOfTwo, splitOf, type TreeReader } from "./tree-reader.ts";

/**
 * The hashes that lead from the leaf at `index` to the root, the leaf's sibling first.
 *
 * @throws AUDIT-RANGE the tree has no such leaf
 * @throws AUDIT-TILE a tile is missing
 */
export async function inclusionProof(tree: TreeReader, index: number): Promise<Uint8Array[]> {
  if (index < 0 || index >= tree.size)
    throw auditError("AUDIT-RANGE", `position ${index} is not below the checkpoint's size of ${tree.size}`);
  const path: Uint8Array[] = [];
  let from = 0;
  let to = tree.size;
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      path.push(await tree.rangeRoot(middle, to));
      to = middle;
    } else {
      path.push(await tree.rangeRoot(from, middle));
      from = middle;
    }
  }
  return path.reverse();
}

/** Root of the tree of `size` leaves in which `leaf` is at `index`, by this proof; `undefined` when it cannot be one. */
export function rootByInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index < 0 || index >= size) return undefined;
  let hash = leaf;
  let at = index;
  let last = size - 1;
  let used = 0;
  for (; last > 0; at = Math.floor(at / 2), last = Math.floor(last / 2)) {
    const isRight = at % 2 === 1;
    if (!isRight && at === last) continue;
    const other = proof[used++];
    if (other === undefined) return undefined;
    hash = isRight ? nodeHash(other, hash) : nodeHash(hash, other);
  }
  return used === proof.length ? hash : undefined;
}

/**
 * The hashes that show that the first `old` leaves of the tree are those of the tree of `old` leaves.
 *
 * @throws AUDIT-RANGE the tree has fewer leaves
 */
export async function consistencyProof(tree: TreeReader, old: number): Promise<Uint8Array[]> {
  if (old < 0 || old > tree.size)
    throw auditError("AUDIT-RANGE", `a size of ${old} is not at most the checkpoint's size of ${tree.size}`);
  const proof: Uint8Array[] = [];
  if (old === 0 || old === tree.size) return proof;
  let from = 0;
  let to = tree.size;
  while (to !== old) {
    const middle = from + splitOf(to - from);
    if (old <= middle) {
      proof.push(await tree.rangeRoot(middle, to));
      to = middle;
    } else {
      proof.push(await tree.rangeRoot(from, middle));
      from = middle;
    }
  }
  if (from > 0) proof.push(await tree.rangeRoot(from, to));
  return proof.reverse();
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** True if the proof shows that `later` is `earlier` with leaves added (RFC 9162, section 2.1.4.2). */
export function isConsistent(earlier: TreeHead, later: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (earlier.size > later.size) return false;
  if (earlier.size === later.size) return proof.length === 0 && sameHash(earlier.root, later.root);
  if (earlier.size === 0) return proof.length === 0 && sameHash(earlier.root, EMPTY_ROOT);
  const hashes = isPowerOfTwo(earlier.size) ? [earlier.root, ...proof] : proof;
  let at = earlier.size - 1;
  let last = later.size - 1;
  for (; at % 2 === 1; at = Math.floor(at / 2)) last = Math.floor(last / 2);
  let [before, after] = [hashes[0], hashes[0]];
  if (before === undefined || after === undefined) return false;
  for (const hash of hashes.slice(1)) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      before = nodeHash(hash, before);
      after = nodeHash(hash, after);
      for (; at % 2 === 0 && at !== 0; at = Math.floor(at / 2)) last = Math.floor(last / 2);
    } else {
      after = nodeHash(after, hash);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && sameHash(before, earlier.root) && sameHash(after, later.root);
}
