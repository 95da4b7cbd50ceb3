/** What the graphs of a host share in memory: queues, and a Redis; nothing of them is loaded before a graph names one. */
import type { Env } from "@millrace/engine";
import type { MemoryQueue, MemoryQueues, MemoryRedis } from "@millrace/streams/memory";

export class HostMemory {
  #queues: MemoryQueues | undefined;
  #redis: MemoryRedis | undefined;

  async queue(name: string): Promise<MemoryQueue> {
    const { MemoryQueues } = await import("@millrace/streams/memory");
    this.#queues ??= new MemoryQueues();
    return this.#queues.queue(name);
  }

  async redis(env: Env): Promise<MemoryRedis> {
    const { MemoryRedis } = await import("@millrace/streams/memory");
    this.#redis ??= new MemoryRedis(env);
    return this.#redis;
  }
}
