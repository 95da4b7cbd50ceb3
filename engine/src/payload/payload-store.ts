/**
 * Hand-over of large payloads on one machine: written once, they travel as a small token (DESIGN §9). Nothing here is truth:
 * whatever a store loses is in the log, and a token that does not resolve is a gap that its origin fills (P-R16).
 *
 * Implementations: memory (`streams/memory`), files that are copied and files that are mapped (`native`). All pass
 * `payloadStoreContract` of `engine/testing`.
 */

export type PayloadFormat = "raw" | "msgpack" | "json" | "npy" | "arrow";

/** What travels in place of a payload. Good on one machine only; never in the log (P-R20). Plain data. */
export interface PayloadToken {
  readonly store: string;
  /** Never used again for another payload. */
  readonly id: string;
  readonly format: PayloadFormat;
  /** Bytes of the payload. */
  readonly length: number;
  /**
   * Checksum of the bytes in hex digits: SHA-256 (64) where the store copies, XXH3-64 (16) where it maps. It finds errors;
   * that the bytes are still the payload is for {@link PayloadLease.isValid} to say (P-R5).
   */
  readonly hash: string;
}

/** The right to read a payload until it is released. */
export interface PayloadLease {
  readonly token: PayloadToken;
  /**
   * The payload. Read it; what is written to it is seen by nobody else. Detached on release, and when the lease was found lost.
   * @throws PAYLOAD-RELEASED after release
   * @throws PAYLOAD-LEASE-LOST after {@link isValid} answered false
   */
  readonly bytes: Uint8Array;
  /**
   * Calls `use` with the payload, at once, and gives what it answers. For code of ours that copies or computes and keeps nothing: the array
   * may be a part of one that is never detached, and shows anything after `use`. Costs the same for a byte and for a gigabyte, where
   * {@link bytes} begins a collection of garbage when there are more than 64 MiB of them.
   * @throws as {@link bytes}
   */
  read<T>(use: (bytes: Uint8Array) => T): T;
  /** Whether every byte read so far was this payload's: asked after the last use and before the step is appended (P-R6). */
  isValid(): boolean;
  /** Ends the lease and detaches the bytes. Answers as {@link isValid} did; a second call does nothing and answers false. */
  release(): boolean;
}

export interface PayloadStoreStats {
  /** Payloads that this process wrote and that are not freed. */
  readonly payloads: number;
  readonly bytes: number;
  /** Leases of this process. */
  readonly leases: number;
}

/** Where a payload's bytes lie in a file that processes of this machine can map. */
export interface PayloadPlace {
  readonly path: string;
  /** Of the first byte. */
  readonly offset: number;
}

/** A payload that stays at its place until it is released. */
export interface LocatedPayload extends PayloadPlace {
  /** False: what was read there may not have been the payload. */
  release(): boolean;
}

export interface PayloadStore {
  /** Payloads of a store resolve only in it. */
  readonly id: string;
  /**
   * Writes a payload and holds it for its producer until {@link discard}. Never waits for room (P-R18): the answer
   * `undefined` says that there is none, and the payload travels inline.
   *
   * @throws PAYLOAD-FAILED the storage failed
   * @throws PAYLOAD-CLOSED the store was closed
   */
  put(bytes: Uint8Array, format: PayloadFormat): Promise<PayloadToken | undefined>;
  /** Ends the producer's hold: the payload is freed once no lease names it. Tokens of others and unknown ones are ignored. */
  discard(token: PayloadToken): Promise<void>;
  /**
   * Leases a payload. `undefined` when the token does not resolve: of another store, freed, or damaged.
   *
   * @throws PAYLOAD-CLOSED the store was closed
   */
  acquire(token: PayloadToken): Promise<PayloadLease | undefined>;
  /**
   * Fixes a payload at its place for a process that maps it by itself (P-R8). `undefined` as for {@link acquire}, or when it has no
   * place. Absent: this store's payloads are in no file.
   */
  locate?(token: PayloadToken): Promise<LocatedPayload | undefined>;
  stats(): PayloadStoreStats;
  /** Frees what this process wrote. Leases of this process are released. */
  close(): Promise<void>;
}
