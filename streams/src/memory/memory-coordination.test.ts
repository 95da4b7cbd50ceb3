import type { Coordination } from "@millrace/engine";
import { coordinationContract, virtualEnv } from "@millrace/engine/testing";
import { MemoryCluster } from "./memory-coordination.ts";

coordinationContract("coordination in memory", async () => {
  const env = virtualEnv("coordination");
  const cluster = new MemoryCluster({ env, ttlMs: 1000 });
  const opened: Coordination[] = [];
  return {
    ttlMs: 1000,
    seenMs: 1,
    async open() {
      const host = cluster.open();
      opened.push(host);
      return host;
    },
    pass: (ms) => env.advance(ms),
    async destroy() {
      for (const host of opened) await host.close();
    },
  };
});
