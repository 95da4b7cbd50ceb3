import { systemEnv } from "@millrace/engine";
import { transportContract } from "@millrace/engine/testing";
import { memoryTransport } from "./memory-transport.ts";

transportContract("the memory transport", async () => {
  const transport = memoryTransport({ env: systemEnv(), capacity: 16 });
  return { publisher: transport, subscriber: transport, capacity: 16, destroy: () => transport.close() };
});
