/** Queues of one process between the graphs of a host, by name. They are gone with it. */
import { SubjectQueue } from "./subject-queue.ts";

/** Messages, and bytes of them, that a queue holds before who writes to it waits. */
const CAPACITY = 1024;
const BYTES_MAX = 16 * 1024 * 1024;

export class MemoryQueue {
  readonly name: string;
  readonly messages: SubjectQueue;
  #isRead = false;

  constructor(name: string, capacity: number) {
    this.name = name;
    this.messages = new SubjectQueue(capacity, BYTES_MAX);
  }

  /** Whoever reads has the queue alone, until it calls what is returned. @throws there is another one */
  readAlone(): () => void {
    if (this.#isRead) throw new Error(`the queue ${this.name} is read by another source`);
    this.#isRead = true;
    return () => {
      this.#isRead = false;
    };
  }
}

export class MemoryQueues {
  readonly #capacity: number;
  readonly #queues = new Map<string, MemoryQueue>();

  /** @param capacity messages that each holds. Default 1024; never more than 16 MiB, but for a single message. */
  constructor(capacity: number = CAPACITY) {
    this.#capacity = capacity;
  }

  /** It is made when it is first asked for. */
  queue(name: string): MemoryQueue {
    const queue = this.#queues.get(name) ?? new MemoryQueue(name, this.#capacity);
    this.#queues.set(name, queue);
    return queue;
  }
}
