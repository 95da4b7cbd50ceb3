/** Ports in memory, for tests, simulations and graphs that keep nothing. */
export { MemoryCluster, type MemoryClusterOptions } from "./memory-coordination.ts";
export { type MemoryEventLogOptions, memoryEventLog } from "./memory-event-log.ts";
export { memoryOrderedStore } from "./memory-ordered-store.ts";
export { type MemoryPayloadStoreOptions, memoryPayloadStore } from "./memory-payload-store.ts";
export { type MemoryTransportOptions, memoryTransport } from "./memory-transport.ts";
