/** The public entry for the thread that writes the index of a log: what the first job of a busy log waits for must be little. */
export {
  type CatchUpJob,
  type IndexerSettings,
  type IndexJob,
  inlineIndexer,
} from "../embedded/log-indexer.ts";
export { systemDisk } from "../embedded/system-disk.ts";
