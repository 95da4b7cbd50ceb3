/**
 * A transactional ordered key-value store: what log indexes, snapshots and projection rows are written against (DESIGN §2).
 * Keys are byte strings in lexicographic order, at most 511 bytes. One process writes; everything in it is derived from the
 * log and may be deleted and rebuilt.
 *
 * Implementations: LMDB (`native`) and memory (`streams/memory`). Both pass `orderedStoreContract` of `engine/testing`.
 */

export type Key = Uint8Array;

export const KEY_BYTES_MAX = 511;

export interface RangeOptions {
  /** Inclusive lower bound. */
  readonly gte?: Key;
  /** Exclusive upper bound. */
  readonly lt?: Key;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Entry {
  readonly key: Key;
  readonly value: Uint8Array;
}

/**
 * Reads see one consistent state. Returned bytes are copies that the caller may keep.
 *
 * @throws STORE-KEY a key is empty or longer than {@link KEY_BYTES_MAX}; bounds of a range may be any byte string
 * @throws STORE-CLOSED the store was closed
 */
export interface OrderedReader {
  get(table: string, key: Key): Uint8Array | undefined;
  /**
   * In key order. Valid only until the surrounding call returns: do not hold an iterator across an `await`, and do not write
   * to the table while iterating over it.
   */
  range(table: string, options?: RangeOptions): Iterable<Entry>;
  count(table: string): number;
}

/** Reads inside a transaction see its own writes. */
export interface OrderedWriter extends OrderedReader {
  /** Both arrays may be used again when it returns. */
  put(table: string, key: Key, value: Uint8Array): void;
  delete(table: string, key: Key): void;
  /** Deletes every key in `[gte, lt)`. */
  deleteRange(table: string, options?: Pick<RangeOptions, "gte" | "lt">): void;
}

export interface OrderedStore extends OrderedReader {
  /**
   * Runs `write` in one transaction; all of it or nothing is seen afterwards. Resolves once it is durable; it is visible to
   * reads of this process before that. Calls are applied in order. An exception from `write` discards the transaction and
   * rejects the promise. `write` is called once, during the call or later; it must not return a promise.
   *
   * @throws STORE-FULL the disk or the map is full; nothing was written
   * @throws STORE-FAILED the store is damaged: delete it and rebuild
   */
  transact<T>(write: (tx: OrderedWriter) => T): Promise<T>;
  /** Deletes a whole table. */
  drop(table: string): Promise<void>;
  /** Waits for transactions in flight. Further calls fail with STORE-CLOSED. */
  close(): Promise<void>;
}
