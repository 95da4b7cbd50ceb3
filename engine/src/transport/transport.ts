/**
 * Carries frames between hosts (DESIGN §8). A subject leads from its publishers to one receiver. Delivery is at least once and
 * in order of publishing as long as nothing is refused or lost on the way; what is accepted here is not durable: the step
 * protocol trims what comes twice and asks again for what does not come.
 *
 * Two ids that a publisher gives in the header `message-id` and that are equal on one subject say that the message is the same:
 * a transport may drop the second.
 *
 * Implementations: memory (`streams/memory`), sockets (`streams/socket`), NATS JetStream (`streams/nats`) and Kafka (`streams/kafka`). All
 * pass `transportContract` of `engine/testing`.
 */

import type { ConnectionStatus } from "../connection/connection-status.ts";

export interface TransportMessage {
  readonly headers: Readonly<Record<string, string>>;
  /** A frame as bytes. Opaque here. */
  readonly body: Uint8Array;
}

export interface Delivery extends TransportMessage {
  readonly subject: string;
  /** 1 at first; more when it was refused, or its receiver left without an answer. */
  readonly attempt: number;
  /** The receiver has taken it over. Only the first of `ack` and `nack` counts. */
  ack(): void;
  /** The receiver has not: it comes again, before what was published later and has not been delivered yet. */
  nack(): void;
}

export interface Subscription {
  /** Allows `credit` more deliveries. */
  grant(credit: number): void;
  /** Ends it. Deliveries without an answer go to the next subscription of the subject. */
  close(): Promise<void>;
}

export interface SubscriptionOptions {
  /** Deliveries allowed at first; default 0. Every delivery uses one up, also one that comes again. */
  readonly credit?: number;
}

export interface Transport {
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;

  /** What a broker calls a subject, for people; absent where there is no broker. */
  addressOf?(subject: string): string;

  /** The connection to a broker, for whoever wants to see it. */
  connection?(): ConnectionStatus;

  /**
   * Resolves once the transport has accepted the message. Waits while the subject holds as many as it may.
   *
   * @throws TRANSPORT-TOO-LARGE the body exceeds {@link bodyBytesMax}
   * @throws TRANSPORT-CLOSED the transport was closed, before or meanwhile
   */
  publish(subject: string, message: TransportMessage): Promise<void>;

  /**
   * Receives a subject. A lost connection is made again by itself. A newer subscription of the same subject replaces this one.
   *
   * @throws TRANSPORT-CLOSED the transport was closed
   */
  subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    options?: SubscriptionOptions,
  ): Promise<Subscription>;

  /** Ends subscriptions and forgets what was not delivered. */
  close(): Promise<void>;
}
