/** What needs native code: the ordered store on LMDB. */
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from "./ordered-store/lmdb-store.ts";
