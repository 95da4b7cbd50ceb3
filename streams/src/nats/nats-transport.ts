/**
 * Edges over NATS JetStream. A subject is a bounded queue on the server; publishing waits while it is full or the server is
 * away, and subscribing asks for as many messages as the receiver gave credit for. A message that is published again because
 * its answer was lost, or that carries a `message-id` which the server has seen within two minutes, is taken once.
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
import type { NatsConnection } from "nats";
import type { Connection } from "../resilience/connection.ts";
import { EdgeEnds } from "../resilience/edge-ends.ts";
import { encodeMessage } from "./edge-message.ts";
import { EdgePublisher } from "./edge-publisher.ts";
import { EdgeStream, natsSubject } from "./edge-stream.ts";
import { EdgeSubscription, type SubjectMemory } from "./edge-subscription.ts";
import { type NatsServers, natsConnection } from "./nats-connection.ts";

export interface NatsTransportOptions {
  readonly env: Env;
  readonly servers: NatsServers;
  /** Name of the stream that holds the edges; made if it is missing. Default MILLRACE_EDGES. */
  readonly stream?: string;
  /** First part of all subjects, the stream's own. Default millrace. */
  readonly prefix?: string;
  /** Messages that a subject holds before publishing waits; fixed when the stream is made. Default 256. */
  readonly capacity?: number;
  /** Default 1 MiB less 16 KiB: what a server takes unless it was told otherwise, with room for headers. */
  readonly bodyBytesMax?: number;
}

const BODY_BYTES_MAX = 1024 * 1024 - 16 * 1024;
const CAPACITY = 256;
const ID_BYTES = 8;

/** Does not wait for the server. */
export function natsTransport(options: NatsTransportOptions): Transport {
  return new JetStreamTransport(options);
}

class JetStreamTransport implements Transport {
  readonly bodyBytesMax: number;
  readonly #connection: Connection<NatsConnection>;
  readonly #env: Env;
  readonly #stream: EdgeStream;
  /** Tells this transport's messages and consumers from those of others. */
  readonly #id: string;
  readonly #ends: EdgeEnds<EdgePublisher, EdgeSubscription, SubjectMemory>;
  #published = 0;

  constructor({ env, servers, stream, prefix, capacity, bodyBytesMax }: NatsTransportOptions) {
    this.#env = env;
    this.bodyBytesMax = bodyBytesMax ?? BODY_BYTES_MAX;
    const connection = natsConnection(servers, env);
    this.#connection = connection;
    this.#stream = new EdgeStream({
      env,
      name: stream ?? "MILLRACE_EDGES",
      prefix: prefix ?? "millrace",
      capacity: capacity ?? CAPACITY,
    });
    this.#id = Buffer.from(env.random.bytes(ID_BYTES)).toString("hex");
    this.#ends = new EdgeEnds({
      connection,
      bodyBytesMax: this.bodyBytesMax,
      publisher: (subject, closed) =>
        new EdgePublisher({ env, connection, stream: this.#stream, subject: this.addressOf(subject), closed }),
      memory: () => ({ created: "", attempts: new Map(), taken: new Set() }),
    });
  }

  /** A server that is there and takes nothing, for want of room, is not up for an edge. */
  connection(): ConnectionStatus {
    const { status } = this.#connection;
    if (status.state !== "up") return status;
    const reason = this.#ends.publishers.map(({ refusal }) => refusal).find((refusal) => refusal !== "");
    return reason === undefined ? status : { ...status, state: "backing-off", reason };
  }

  addressOf(subject: string): string {
    return natsSubject(this.#stream.prefix, subject);
  }

  async publish(subject: string, message: TransportMessage): Promise<void> {
    const publisher = this.#ends.publisher(subject, message);
    const given = message.headers["message-id"];
    const id = given === undefined ? `${this.#id}/${++this.#published}` : `${subject}/${given}`;
    await publisher.publish(encodeMessage(message), id);
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
          stream: this.#stream,
          subject,
          natsSubject: this.addressOf(subject),
          owner: `${this.#id}/${++this.#published}`,
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
