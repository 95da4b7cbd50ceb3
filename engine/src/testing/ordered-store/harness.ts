import type { Key, OrderedStore } from "../../store/ordered-store.ts";

/** One store under test, on storage of its own. */
export interface OrderedStoreHarness {
  readonly store: OrderedStore;
  /** Closes the store and opens what it stored again. Absent when nothing survives a close. */
  reopen?(): Promise<OrderedStore>;
  /** Closes whatever is open and frees the storage. */
  destroy(): Promise<void>;
}

export type MakeOrderedStore = () => Promise<OrderedStoreHarness>;

export async function withStore(
  make: MakeOrderedStore,
  body: (store: OrderedStore, harness: OrderedStoreHarness) => Promise<void>,
): Promise<void> {
  const harness = await make();
  try {
    await body(harness.store, harness);
  } finally {
    await harness.destroy();
  }
}

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export const hex = (value: Key): string => Buffer.from(value).toString("hex");

/** Buffers and plain byte arrays compare equal when their bytes do. */
export const hexOf = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : hex(value);

/** Entries of a range as `key=value` in hex, short enough to read in a failure. */
export function entries(range: Iterable<{ key: Key; value: Uint8Array }>): string[] {
  return Array.from(range, ({ key, value }) => `${hex(key)}=${hex(value)}`);
}
