/**
 * What hosts agree on: who is there, and small values that only the holder of the newest epoch may change (DESIGN §8). It
 * decides who should own a shard; the log's fencing decides who does.
 *
 * Implementations: memory (`streams/memory`) and a directory (`streams/directory`) for the processes of one machine. Both pass
 * `coordinationContract` of `engine/testing`.
 */

/** A value and the epoch at which it was written. Epochs of a key only rise, also over deletions. */
export interface CoordinationEntry {
  readonly key: string;
  /** From 1. */
  readonly epoch: number;
  readonly value: Uint8Array;
}

export type CompareAndSet =
  | { readonly ok: true; readonly epoch: number }
  /** Somebody else was first: what is there now, if anything. */
  | { readonly ok: false; readonly current: CoordinationEntry | undefined };

export interface Member {
  readonly id: string;
  /** Differs with every join, so that a restarted member is known as another one. */
  readonly incarnation: string;
  readonly data: Uint8Array;
}

export interface Membership {
  readonly incarnation: string;
  /** Aborts when another process joined under the same id. */
  readonly lost: AbortSignal;
  leave(): Promise<void>;
}

export interface Coordination {
  get(key: string): Promise<CoordinationEntry | undefined>;

  /**
   * Writes if the key's entry is of epoch `expected`, or if there is none and `expected` is `"none"`.
   *
   * @throws COORDINATION-KEY the key is empty, longer than 200 bytes, or has characters other than letters, digits and `._/-`
   * @throws COORDINATION-FAILED the storage or the connection failed; the outcome is found by reading
   */
  put(key: string, value: Uint8Array, expected: number | "none"): Promise<CompareAndSet>;

  /** Deletes the entry if it is of epoch `expected`. The epoch of the answer is that of the deletion. */
  delete(key: string, expected: number): Promise<CompareAndSet>;

  /** Entries whose keys begin with `prefix`, by key. */
  list(prefix: string): Promise<readonly CoordinationEntry[]>;

  /**
   * The entries under a prefix, now and after every change. Changes in quick succession may be seen as one; the last state
   * is always seen. Ends when `signal` aborts or the coordination is closed.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<readonly CoordinationEntry[]>;

  /** Makes this process a member. Another one of the same id loses its membership. */
  join(id: string, data: Uint8Array): Promise<Membership>;

  /**
   * Members that this observer believes alive, by id. One that gives no sign of life is dropped after the time to live, by
   * this process's own monotonic clock.
   */
  members(): Promise<readonly Member[]>;

  /** The members, now and after every change. */
  watchMembers(signal: AbortSignal): AsyncIterable<readonly Member[]>;

  /** Stops giving signs of life without leaving: to others this process died. Further calls fail with COORDINATION-CLOSED. */
  close(): Promise<void>;
}
