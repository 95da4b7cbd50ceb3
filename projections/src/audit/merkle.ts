/**
 * Hashes of an RFC 6962 Merkle tree (section 2.1): SHA-256, leaves and inner nodes told apart by their first byte, so that a
 * node can't be shown as a leaf.
 */
import { hash } from "node:crypto";

export const HASH_BYTES = 32;

export function sha256(bytes: Uint8Array): Buffer {
  const digest = Buffer.allocUnsafe(HASH_BYTES);
  putSha256(bytes, digest, 0);
  return digest;
}

/** Writes the hash at `at`. By way of a string of bytes: asking `hash` for a buffer takes more than twice as long, and leaves garbage. */
export function putSha256(bytes: Uint8Array, into: Buffer, at: number): void {
  into.write(hash("sha256", bytes, "binary"), at, HASH_BYTES, "binary");
}

/** Root of the tree without leaves. */
export const EMPTY_ROOT: Buffer = sha256(new Uint8Array(0));

/** What an inner node is hashed with before its children. */
const NODE_PREFIX = 1;

/** Used again for every node: hashing is synchronous. */
const node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX);

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}

/**
 * Root over the roots of neighbouring subtrees of one size, of which the last may be smaller: pairs are hashed level by level,
 * an odd one at the end goes up as it is. That is the tree of RFC 6962, which splits at the largest power of two.
 */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let nodes = hashes;
  while (nodes.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i + 1 < nodes.length; i += 2)
      above.push(nodeHash(nodes[i] as Uint8Array, nodes[i + 1] as Uint8Array));
    if (nodes.length % 2 === 1) above.push(nodes.at(-1) as Uint8Array);
    nodes = above;
  }
  return nodes[0] ?? EMPTY_ROOT;
}

export function sameHash(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}

/** Splits bytes that hold hashes one after the other. */
export function hashesOf(bytes: Uint8Array): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) hashes.push(bytes.subarray(at, at + HASH_BYTES));
  return hashes;
}
