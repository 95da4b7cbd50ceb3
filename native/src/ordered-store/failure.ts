import { MillraceError, messageOf, storeError } from "@millrace/engine/worker";
import { freeBytes } from "./growth.ts";

const ENOSPC = 28;
const EFBIG = 27;
const EDQUOT = 122;
const MDB_MAP_FULL = -30792;
const FULL_CODES: ReadonlySet<unknown> = new Set([ENOSPC, EFBIG, EDQUOT, MDB_MAP_FULL]);
/** Below this a failed write is put down to the full disk: LMDB reports a short write as an input/output error. */
const FREE_BYTES_MIN = 1024 * 1024;

/** Says whether a failure of LMDB means that space ran out, which passes, or that the store is broken. */
export function storeFailure(error: unknown, dir: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const options = { cause: error, details: { dir } };
  const code = (error as { code?: unknown }).code;
  if (FULL_CODES.has(code) || diskIsFull(dir)) {
    return storeError("STORE-FULL", `no space left for ${dir}`, { ...options, retryAfterMs: 1000 });
  }
  return storeError("STORE-FAILED", `the store at ${dir} failed: ${messageOf(error)}`, options);
}

function diskIsFull(dir: string): boolean {
  try {
    return freeBytes(dir) < FREE_BYTES_MIN;
  } catch {
    // The directory itself is gone: not a matter of space.
    return false;
  }
}
