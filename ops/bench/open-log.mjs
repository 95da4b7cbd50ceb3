import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { nativeBlocks, nativeFileLock, openLmdbStore } from "@millrace/native";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { IndexThread } from "../dist/host/index-thread.js";

/** A log on disk with its index, put together as a host does it but for what `different` says. */
export async function openLog(directory, different = {}) {
  const indexStore = await openLmdbStore({ dir: join(directory, "index") });
  const kernels = nativeBlocks();
  const log = await openEmbeddedLog({
    directory: join(directory, "log"),
    disk: systemDisk(nativeFileLock()),
    env: systemEnv(),
    indexStore,
    indexer: new IndexThread({ store: indexStore, kernels }).of,
    kernels,
    ...different,
  });
  return { log, close: () => log.close().then(() => indexStore.close()) };
}
