/** What touches the machine closely: the ordered store on LMDB, the hand-over of large payloads, checksums of log blocks, Zstandard. */
export { type AddonState, addonState } from "./addon.ts";
export {
  type LibraryCalculator,
  type LibraryOptions,
  openLibraryCalculator,
} from "./calculator/library-calculator.ts";
export { type NativeZstd, nativeZstd } from "./compression/native-zstd.ts";
export { nativeFileLock } from "./file-lock/native-file-lock.ts";
export { nativeSelection } from "./filter/native-selection.ts";
export { type NativeTreeHasher, nativeTreeHasher } from "./hash/native-tree-hasher.ts";
export { nativeKeys } from "./keys/native-keys.ts";
export { type NativeBlockHeader, type NativeBlocks, nativeBlocks } from "./log-block/native-blocks.ts";
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from "./ordered-store/lmdb-store.ts";
export { removeAbandonedStores } from "./payload-store/abandoned-stores.ts";
export { type FilePayloadStoreOptions, openFilePayloadStore } from "./payload-store/file-payload-store.ts";
export type { MappedPayloadLease } from "./payload-store/mapped-lease.ts";
export {
  type MappedPayloadStore,
  type MappedPayloadStoreOptions,
  openMappedPayloadStore,
  type PayloadReservation,
} from "./payload-store/mapped-payload-store.ts";
export { type OpenedPayloadStore, openPayloadStore, type PayloadStoreOptions } from "./payload-store/payload-store.ts";
export { nativeText } from "./text/native-text.ts";
export { nativeGroups } from "./window/native-groups.ts";
