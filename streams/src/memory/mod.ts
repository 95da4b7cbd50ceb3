/** Ports in memory, for tests, simulations and graphs that keep nothing; and queues, streams and channels between graphs of one process. */

export { MemoryRedis, type MemoryRedisOptions } from "../redis/memory-redis.ts";
export { type MemredisOptions, memredisFeed, memredisSink, memredisSource } from "../redis/memredis-connectors.ts";
export { MemoryCluster, type MemoryClusterOptions } from "./memory-coordination.ts";
export { type MemoryEventLogOptions, memoryEventLog } from "./memory-event-log.ts";
export { memoryOrderedStore } from "./memory-ordered-store.ts";
export { type MemoryPayloadStoreOptions, memoryPayloadStore } from "./memory-payload-store.ts";
export { type MemoryQueue, MemoryQueues } from "./memory-queues.ts";
export { type MemoryTransportOptions, memoryTransport } from "./memory-transport.ts";
export { type MemoryFeedOptions, memoryFeed } from "./queue-feed.ts";
export { type MemorySinkOptions, memorySink } from "./queue-sink.ts";
