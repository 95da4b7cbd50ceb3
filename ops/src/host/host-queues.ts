/** The queues in memory between the graphs of a host; nothing of them is loaded before a graph names one. */
import type { MemoryQueue, MemoryQueues } from "@millrace/streams/memory";

export class HostQueues {
  #queues: MemoryQueues | undefined;

  async queue(name: string): Promise<MemoryQueue> {
    const { MemoryQueues } = await import("@millrace/streams/memory");
    this.#queues ??= new MemoryQueues();
    return this.#queues.queue(name);
  }
}
