import { systemEnv } from "@millrace/engine";
import { payloadStoreContract } from "@millrace/engine/testing";
import { memoryPayloadStore } from "./memory-payload-store.ts";

payloadStoreContract("the memory payload store", async ({ bytesMax }) => {
  const store = memoryPayloadStore({ env: systemEnv(), bytesMax });
  return { store, destroy: () => store.close() };
});
