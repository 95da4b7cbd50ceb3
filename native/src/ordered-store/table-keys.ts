/**
 * Keys as they lie in the environment: two bytes that number the table, then the caller's key. One LMDB database holds all
 * tables, so that a transaction may begin a new one and still be discarded.
 */
import type { Key } from "@millrace/engine";
import { KEY_BYTES_MAX, storeError } from "@millrace/engine/worker";

const PREFIX_BYTES = 2;
/** Number of the table that names the others. */
export const DIRECTORY = 0;
export const TABLE_NUMBER_MAX = 0xfffe;

/** A key of one table. Reused for every operation that uses its key at once. */
export interface TableKey {
  table: number;
  key: Key;
}

/** What lmdb-js calls to write and read keys. It writes back keys that it read, hence both forms. */
export const keyEncoder = {
  writeKey(key: TableKey | Uint8Array, target: Uint8Array, start: number): number {
    if (key instanceof Uint8Array) {
      target.set(key, start);
      return start + key.length;
    }
    target[start] = key.table >>> 8;
    target[start + 1] = key.table & 255;
    target.set(key.key, start + PREFIX_BYTES);
    return start + PREFIX_BYTES + key.key.length;
  },
  readKey(source: Uint8Array, start: number, end: number): Uint8Array {
    return Uint8Array.prototype.slice.call(source, start, end);
  },
};

/** The caller's part of a key that {@link keyEncoder} read. */
export function withoutPrefix(stored: Uint8Array): Uint8Array {
  return stored.subarray(PREFIX_BYTES);
}

/** The least stored key of table `table`; that of the next one is the bound above all its keys. */
export function tableStart(table: number): Uint8Array {
  return Uint8Array.of(table >>> 8, table & 255);
}

/** A bound may be any byte string; keys are compared with it alike when it is cut one byte beyond the longest key. */
export function bound(table: number, key: Key): Uint8Array {
  const stored = new Uint8Array(PREFIX_BYTES + Math.min(key.length, KEY_BYTES_MAX + 1));
  stored.set(tableStart(table));
  stored.set(key.length > KEY_BYTES_MAX ? key.subarray(0, KEY_BYTES_MAX + 1) : key, PREFIX_BYTES);
  return stored;
}

export function checkKey(key: Key): void {
  if (key.length > 0 && key.length <= KEY_BYTES_MAX) return;
  throw storeError("STORE-KEY", `a key of ${key.length} bytes; allowed are 1 to ${KEY_BYTES_MAX}`);
}
