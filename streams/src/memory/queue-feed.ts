/** A queue in memory as a feed: a message leaves the queue once it is durable, and goes back to its place when its reader ends before. */
import type { Env, Feed } from "@millrace/engine";
import { Connection } from "../resilience/connection.ts";
import type { MessageIntake } from "../resilience/message-intake.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientFeed } from "../resilience/resilient-feed.ts";
import type { MemoryQueue } from "./memory-queues.ts";
import { ID_HEADER } from "./queue-sink.ts";
import type { Receiver } from "./subject-queue.ts";

export interface MemoryFeedOptions {
  /** Most messages that are not durable. Default 1000. */
  readonly unsettledMax?: number;
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

const UNSETTLED_MAX = 1000;

export function memoryFeed(
  queue: MemoryQueue,
  env: Env,
  { unsettledMax = UNSETTLED_MAX, policy = {} }: MemoryFeedOptions = {},
): Feed {
  const connection = new Connection<QueueReader>({
    name: `mem:${queue.name}`,
    endpoints: [queue.name],
    env,
    policy,
    driver: {
      connect: async () => new QueueReader(queue, env),
      // It is this process.
      probe: () => Promise.resolve(),
      ended: (reader) => reader.ended,
      disconnect: async (reader) => reader.end(),
    },
  });
  const driver = {
    // What is not settled comes again to the next reader, but not after the process has ended: that is no nack.
    capabilities: { ordered: true, pause: true },
    resends: true,
    listen: (reader: QueueReader, intake: MessageIntake) => reader.read(intake, unsettledMax),
  };
  return resilientFeed(connection, driver, env);
}

class QueueReader {
  readonly ended: Promise<undefined>;
  readonly #queue: MemoryQueue;
  readonly #env: Env;
  readonly #leave: () => void;
  #receiver: Receiver | undefined;
  #isOver = false;
  #end: () => void = () => undefined;

  constructor(queue: MemoryQueue, env: Env) {
    this.#queue = queue;
    this.#env = env;
    this.#leave = queue.readAlone();
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve(undefined);
    });
  }

  /** Resolves when it has ended. */
  async read(intake: MessageIntake, credit: number): Promise<void> {
    const { messages, name } = this.#queue;
    const receiver: Receiver = ({ headers, body, sequence, attempt }) => {
      const settle = (): void => {
        messages.answer(sequence, attempt, true);
        messages.grant(receiver, 1);
      };
      const receipt = { settle, ...(headers[ID_HEADER] === undefined ? {} : { id: headers[ID_HEADER] }) };
      // Who writes must not find itself in the middle of another graph's step.
      this.#env.turns.soon(() => {
        if (!this.#isOver) intake.takeBody(body, name, receipt);
      });
    };
    if (this.#isOver) return;
    this.#receiver = receiver;
    messages.attach(receiver, credit);
    await this.ended;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue.messages.detach(this.#receiver);
    this.#leave();
    this.#end();
  }
}
