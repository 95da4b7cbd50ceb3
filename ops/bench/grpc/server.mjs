/** A log on disk with its index, served over the EventStoreDB protocol in a process of its own: `fork`ed with a directory. */
import { join } from "node:path";
import { systemEnv } from "@millrace/engine";
import { eventStoreEndpoint } from "@millrace/gateway";
import { nativeBlocks, openLmdbStore } from "@millrace/native";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { IndexThread } from "../../dist/host/index-thread.js";

const [, , directory] = process.argv;
const env = systemEnv();
const indexStore = await openLmdbStore({ dir: join(directory, "index") });
const kernels = nativeBlocks();
const log = await openEmbeddedLog({
  directory: join(directory, "log"),
  disk: systemDisk(),
  env,
  indexStore,
  indexer: new IndexThread({ store: indexStore, kernels }).of,
  kernels,
});
const endpoint = eventStoreEndpoint({ log, env, version: "bench" });

process.on("message", async (message) => {
  if (message === "cpu") {
    // What an append leaves to the index belongs to it.
    await log.indexed();
    const { user, system } = process.cpuUsage();
    process.send({ cpuUs: user + system });
    return;
  }
  await endpoint.close();
  await log.close();
  await indexStore.close();
  process.disconnect();
});
process.send({ port: await endpoint.listen(0) });
