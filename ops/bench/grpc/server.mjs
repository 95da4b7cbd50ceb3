/** A log on disk with its index, served over the EventStoreDB protocol in a process of its own: `fork`ed with a directory. */
import { systemEnv } from "@millrace/engine";
import { eventStoreEndpoint } from "@millrace/gateway";
import { openLog } from "../open-log.mjs";

const [, , directory] = process.argv;
const env = systemEnv();
const { log, close } = await openLog(directory);
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
  await close();
  process.disconnect();
});
process.send({ port: await endpoint.listen(0) });
