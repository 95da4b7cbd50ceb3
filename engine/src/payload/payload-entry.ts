import type { PayloadToken } from "./payload-store.ts";
import type { PayloadReference } from "./payload-value.ts";

/** A payload that something on this host needs. */
export interface PayloadEntry {
  readonly reference: PayloadReference;
  holds: number;
  /** Those of them that read it now. */
  readers: number;
  /** Where it is in shared memory; `undefined`: it is not. */
  token: PayloadToken | undefined;
  isArchived: boolean;
  /** An event names it. */
  isKept: boolean;
  /** An append of unknown outcome names it: only the next start can tell. */
  isUnsure: boolean;
  /** Changes of one payload are made one after the other. */
  work: Promise<unknown>;
}

/** @param isNamed a message names it: what nobody here made came from the log, or from a host that has it in its own */
export function newEntry(reference: PayloadReference, isNamed: boolean): PayloadEntry {
  return {
    reference,
    holds: 0,
    readers: 0,
    token: undefined,
    isArchived: isNamed,
    isKept: isNamed,
    isUnsure: false,
    work: Promise.resolve(),
  };
}

/** Makes a change when those before it are made, failed ones too. */
export function inTurn<T>(entry: PayloadEntry, change: () => Promise<T>): Promise<T> {
  const turn = entry.work.then(change);
  entry.work = turn.catch(() => undefined);
  return turn;
}
