/**
 * Edges over Kafka. A subject is a topic of one partition that holds a bounded number of messages; publishing waits while it is
 * full or the brokers are away, and subscribing fetches as long as the receiver gave credit. A message that is published again
 * because its answer was lost is taken once.
 */
import type {
  ConnectionStatus,
  Delivery,
  Env,
  Subscription,
  SubscriptionOptions,
  Transport,
  TransportMessage,
} from "@millrace/engine";
import type { Zstd } from "../compression/zstd.ts";
import type { Connection } from "../resilience/connection.ts";
import { EdgeEnds } from "../resilience/edge-ends.ts";
import type { KafkaClient } from "./driver.ts";
import { EdgePublisher } from "./edge-publisher.ts";
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
  /** One that is faster than WebAssembly, the default. */
  readonly zstd?: Zstd | undefined;
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
  readonly #ends: EdgeEnds<EdgePublisher, EdgeSubscription, SubjectMemory>;
  #lanes = 0;

  constructor({ env, servers, prefix, capacity, bodyBytesMax, zstd }: KafkaTransportOptions) {
    this.#env = env;
    this.bodyBytesMax = bodyBytesMax ?? BODY_BYTES_MAX;
    const connection = kafkaConnection(servers, env, zstd);
    this.#connection = connection;
    this.#prefix = prefix ?? "millrace";
    this.#capacity = capacity ?? CAPACITY;
    this.#ends = new EdgeEnds({
      connection,
      bodyBytesMax: this.bodyBytesMax,
      publisher: (subject, closed) => {
        const topic = this.addressOf(subject);
        return new EdgePublisher({ env, connection, topic, capacity: this.#capacity, closed });
      },
      memory: () => ({ topicId: "", begin: 0, taken: new Set(), attempts: new Map() }),
    });
  }

  connection(): ConnectionStatus {
    return this.#connection.status;
  }

  addressOf(subject: string): string {
    return edgeTopic(this.#prefix, subject);
  }

  async publish(subject: string, message: TransportMessage): Promise<void> {
    await this.#ends.publisher(subject, message).publish(message);
  }

  subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    { credit = 0 }: SubscriptionOptions = {},
  ): Promise<Subscription> {
    return this.#ends.subscription(
      subject,
      (memory) =>
        new EdgeSubscription({
          env: this.#env,
          connection: this.#connection,
          subject,
          topic: this.addressOf(subject),
          lane: `edge/${++this.#lanes}`,
          capacity: this.#capacity,
          memory,
          receive,
          credit,
        }),
    );
  }

  close(): Promise<void> {
    return this.#ends.close();
  }
}
