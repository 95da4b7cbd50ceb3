/**
 * A transport without a broker: publishers keep their subjects and listen, receivers dial them, on Unix sockets or TCP. For
 * the hosts of one machine or of a trusted network; nothing is encrypted.
 */
import {
  type Delivery,
  type Env,
  type Subscription,
  type SubscriptionOptions,
  type Transport,
  type TransportMessage,
  transportError,
} from "@millrace/engine";
import { Incoming } from "./incoming.ts";
import { Outgoing } from "./outgoing.ts";
import type { SocketAddress } from "./socket-address.ts";
import { HEADERS_BYTES_MAX } from "./wire.ts";

export interface SocketTransportOptions {
  readonly env: Env;
  /** Where this host's subjects are handed out. Port 0 takes a free one. */
  readonly listen: SocketAddress;
  /** Where the publisher of a subject listens. */
  readonly addressOf: (subject: string) => SocketAddress;
  /** Messages that a subject holds before publishing waits. Default 1024. */
  readonly capacity?: number;
  /** Default 16 MiB; the same at both ends. */
  readonly bodyBytesMax?: number;
}

export interface SocketTransport extends Transport {
  /** Where it listens, with the port that was taken. */
  readonly address: SocketAddress;
}

const CAPACITY = 1024;
const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** What a packet holds besides headers and body. */
const PACKET_HEAD_BYTES = 64;

/** @throws TRANSPORT-FAILED the address cannot be listened on */
export async function openSocketTransport(options: SocketTransportOptions): Promise<SocketTransport> {
  const outgoing = new Outgoing(options.capacity ?? CAPACITY);
  await outgoing.listen(options.listen);
  return new Sockets(options, outgoing);
}

class Sockets implements SocketTransport {
  readonly bodyBytesMax: number;
  readonly address: SocketAddress;
  readonly #options: SocketTransportOptions;
  readonly #outgoing: Outgoing;
  readonly #incoming = new Map<string, Incoming>();
  #closed = false;

  constructor(options: SocketTransportOptions, outgoing: Outgoing) {
    this.#options = options;
    this.#outgoing = outgoing;
    this.bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    const { listen } = options;
    this.address = "path" in listen ? listen : { host: listen.host, port: outgoing.port ?? listen.port };
  }

  async publish(subject: string, message: TransportMessage): Promise<void> {
    this.#mustBeOpen();
    const headerBytes = Buffer.byteLength(JSON.stringify(message.headers));
    if (message.body.length > this.bodyBytesMax || headerBytes > HEADERS_BYTES_MAX) {
      const bytes = `${message.body.length} bytes and headers of ${headerBytes}`;
      throw transportError(
        "TRANSPORT-TOO-LARGE",
        `a body of ${bytes}; at most ${this.bodyBytesMax} and ${HEADERS_BYTES_MAX}`,
      );
    }
    await this.#outgoing.publish(subject, message);
  }

  async subscribe(
    subject: string,
    receive: (delivery: Delivery) => void,
    { credit = 0 }: SubscriptionOptions = {},
  ): Promise<Subscription> {
    this.#mustBeOpen();
    const before = this.#incoming.get(subject);
    const { env, addressOf } = this.#options;
    const packetBytesMax = this.bodyBytesMax + HEADERS_BYTES_MAX + PACKET_HEAD_BYTES;
    const incoming = new Incoming({ env, subject, address: addressOf(subject), packetBytesMax, receive, credit });
    this.#incoming.set(subject, incoming);
    await before?.close();
    return incoming;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#incoming.values(), (incoming) => incoming.close()));
    await this.#outgoing.close();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw transportError("TRANSPORT-CLOSED", "the transport is closed");
  }
}
