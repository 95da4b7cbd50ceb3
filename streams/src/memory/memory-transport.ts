import {
  type Delivery,
  type Env,
  type Subscription,
  type SubscriptionOptions,
  type Transport,
  type TransportMessage,
  transportError,
} from "@millrace/engine";
import { type QueuedMessage, SubjectQueue } from "./subject-queue.ts";

export interface MemoryTransportOptions {
  readonly env: Env;
  /** Messages that a subject holds before publishing waits. Default 1024. */
  readonly capacity?: number;
  /** Default 16 MiB. */
  readonly bodyBytesMax?: number;
}

const CAPACITY = 1024;
const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** A transport within one process. Deliveries come in a later turn than what caused them. */
export function memoryTransport(options: MemoryTransportOptions): Transport {
  return new MemoryTransport(options);
}

class MemoryTransport implements Transport {
  readonly bodyBytesMax: number;
  readonly #env: Env;
  readonly #capacity: number;
  readonly #subjects = new Map<string, SubjectQueue>();
  #closed = false;

  constructor({ env, capacity = CAPACITY, bodyBytesMax = BODY_BYTES_MAX }: MemoryTransportOptions) {
    this.#env = env;
    this.#capacity = capacity;
    this.bodyBytesMax = bodyBytesMax;
  }

  async publish(subject: string, message: TransportMessage): Promise<void> {
    this.#mustBeOpen();
    if (message.body.length > this.bodyBytesMax) {
      throw transportError(
        "TRANSPORT-TOO-LARGE",
        `a body of ${message.body.length} bytes exceeds ${this.bodyBytesMax}`,
      );
    }
    await this.#queue(subject).publish(message);
  }

  async subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    { credit = 0 }: SubscriptionOptions = {},
  ): Promise<Subscription> {
    this.#mustBeOpen();
    const queue = this.#queue(subject);
    let open = true;
    const receiver = (message: QueuedMessage): void => {
      const delivery = deliveryOf(subject, queue, message);
      this.#env.turns.soon(() => {
        if (open && !this.#closed) receive(delivery);
      });
    };
    queue.attach(receiver, credit);
    return {
      grant: (more) => queue.grant(receiver, more),
      close: async () => {
        open = false;
        queue.detach(receiver);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const queue of this.#subjects.values())
      queue.close(transportError("TRANSPORT-CLOSED", "the transport was closed"));
  }

  #queue(subject: string): SubjectQueue {
    const queue = this.#subjects.get(subject) ?? new SubjectQueue(this.#capacity);
    this.#subjects.set(subject, queue);
    return queue;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw transportError("TRANSPORT-CLOSED", "the transport is closed");
  }
}

/** The message as it is now: it changes when it is delivered again. */
function deliveryOf(
  subject: string,
  queue: SubjectQueue,
  { headers, body, sequence, attempt }: QueuedMessage,
): Delivery {
  return {
    subject,
    headers,
    body,
    attempt,
    ack: () => queue.answer(sequence, attempt, true),
    nack: () => queue.answer(sequence, attempt, false),
  };
}
