/** SHA-256 of many short messages in one call of the addon: Node's own costs more for the call than for the hash of a small one. */
import { loadAddon } from "../addon.ts";

/**
 * Writes the SHA-256 of each message into `into`, 32 bytes each. The messages lie one after the other from the start of `bytes`;
 * message `i` ends before `ends[i]`. `undefined` without the addon.
 *
 * Throws when the ends do not ascend within the bytes, or `into` has another length; some hashes may have been written.
 */
export function nativeSha256(): ((bytes: Uint8Array, ends: Uint32Array, into: Uint8Array) => void) | undefined {
  return loadAddon()?.sha256Batch;
}
