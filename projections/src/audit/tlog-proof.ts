/** Proofs as text: inclusion in the format of https://c2sp.org/tlog-proof, which others can check. */
import type { SignedCheckpoint } from "./audit-directory.ts";

const HEADER = "c2sp.org/tlog-proof@v1";

/** The entry that the leaf is the hash of travels in the `extra` line, so that the text is enough for a check. */
export function formatInclusion(
  index: number,
  entry: Uint8Array,
  proof: readonly Uint8Array[],
  { note }: SignedCheckpoint,
): string {
  return [HEADER, `extra ${base64(entry)}`, `index ${index}`, ...proof.map(base64), "", note].join("\n");
}

function base64(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString("base64");
}
