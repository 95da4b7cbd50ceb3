/**
 * Edges over Kafka. A subject is a topic of one partition that holds a bounded number of messages; publishing waits while it is
 * full or the brokers are away, and subscribing fetches as long as the receiver gave credit. A message that is published again
 * because its answer was lost is taken once.
 */
import {
  type ConnectionStatus,
  type Delivery,
  type Env,
  type Subscription,
  type SubscriptionOptions,
  type Transport,
  type TransportMessage,
  transportError,
} from "@millrace/engine";
import type { Connection } from "../resilience/connection.ts";
import type { KafkaClient } from "./driver.ts";
import { closedError, EdgePublisher } from "./edge-publisher.ts";
import { EdgeSubscription, type SubjectMemory } from "./edge-subscription.ts";
import { edgeTopic } from "./edge-topic.ts";
import { type KafkaServers, kafkaConnection } from "./kafka-connection.ts";

export interface KafkaTransportOptions {
  readonly env: Env;
  readonly servers: KafkaServers;
  /** First part of all topics. Default millrace. */
  readonly prefix?: string;
  /** Messages that a subject holds before publishing waits. Default 256. */
  readonly capacity?: number;
  /** Default 1 MiB less 16 KiB: what brokers take unless they were told otherwise, with room for headers. */
  readonly bodyBytesMax?: number;
}

const BODY_BYTES_MAX = 1024 * 1024 - 16 * 1024;
const CAPACITY = 256;

/** Does not wait for the brokers. */
export function kafkaTransport(options: KafkaTransportOptions): Transport {
  return new TopicTransport(options);
}

class TopicTransport implements Transport {
  readonly bodyBytesMax: number;
  readonly #connection: Connection<KafkaClient>;
  readonly #env: Env;
  readonly #prefix: string;
  readonly #capacity: number;
  readonly #closed = new AbortController();
  readonly #publishers = new Map<string, EdgePublisher>();
  readonly #subscriptions = new Map<string, EdgeSubscription>();
  readonly #memories = new Map<string, SubjectMemory>();
  #lanes = 0;

  constructor({ env, servers, prefix, capacity, bodyBytesMax }: KafkaTransportOptions) {
    this.#env = env;
    this.bodyBytesMax = bodyBytesMax ?? BODY_BYTES_MAX;
    this.#connection = kafkaConnection(servers, env);
    this.#prefix = prefix ?? "millrace";
    this.#capacity = capacity ?? CAPACITY;
  }

  connection(): ConnectionStatus {
    return this.#connection.status;
  }

  addressOf(subject: string): string {
    return edgeTopic(this.#prefix, subject);
  }

  async publish(subject: string, message: TransportMessage): Promise<void> {
    if (this.#closed.signal.aborted) throw closedError();
    const { length } = message.body;
    if (length > this.bodyBytesMax)
      throw transportError("TRANSPORT-TOO-LARGE", `a body of ${length} bytes exceeds ${this.bodyBytesMax}`);
    await this.#publisher(subject).publish(message);
  }

  async subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    { credit = 0 }: SubscriptionOptions = {},
  ): Promise<Subscription> {
    if (this.#closed.signal.aborted) throw closedError();
    await this.#subscriptions.get(subject)?.close();
    const memory = this.#memories.get(subject) ?? { topicId: "", begin: 0, taken: new Set(), attempts: new Map() };
    this.#memories.set(subject, memory);
    const subscription = new EdgeSubscription({
      env: this.#env,
      connection: this.#connection,
      subject,
      topic: this.addressOf(subject),
      lane: `edge/${++this.#lanes}`,
      memory,
      receive,
      credit,
    });
    this.#subscriptions.set(subject, subscription);
    return subscription;
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(closedError());
    const ending = [...this.#subscriptions.values()].map((subscription) => subscription.close());
    await this.#connection.disconnect();
    await Promise.all(ending);
  }

  #publisher(subject: string): EdgePublisher {
    let publisher = this.#publishers.get(subject);
    if (publisher === undefined) {
      publisher = new EdgePublisher({
        env: this.#env,
        connection: this.#connection,
        topic: this.addressOf(subject),
        capacity: this.#capacity,
        closed: this.#closed.signal,
      });
      this.#publishers.set(subject, publisher);
    }
    return publisher;
  }
}
