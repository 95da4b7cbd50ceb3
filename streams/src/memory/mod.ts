/** Ports in memory, for tests, simulations and graphs that keep nothing. */
export { type MemoryEventLogOptions, memoryEventLog } from "./memory-event-log.ts";
export { memoryOrderedStore } from "./memory-ordered-store.ts";
