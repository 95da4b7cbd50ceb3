/** What touches the machine closely: the ordered store on LMDB and the hand-over of large payloads. */
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from "./ordered-store/lmdb-store.ts";
export { type FilePayloadStoreOptions, openFilePayloadStore } from "./payload-store/file-payload-store.ts";
