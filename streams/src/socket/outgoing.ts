/** The publisher's end: subjects as queues, and a server that hands them to whoever dials. */
import { createServer, type Server, type Socket } from "node:net";
import { type TransportMessage, transportError } from "@millrace/engine";
import { type QueuedMessage, SubjectQueue } from "../memory/subject-queue.ts";
import type { SocketAddress } from "./socket-address.ts";
import { encodePacket, isProtocolError, type Packet, PacketReader } from "./wire.ts";

/** Receivers send small packets only. */
const PACKET_BYTES_MAX = 64 * 1024;
const KEEP_ALIVE_MS = 5000;

interface Attached {
  readonly subject: string;
  readonly queue: SubjectQueue;
  readonly receiver: (message: QueuedMessage) => void;
}

export class Outgoing {
  readonly #capacity: number;
  readonly #server: Server;
  readonly #subjects = new Map<string, SubjectQueue>();
  /** Who receives a subject. */
  readonly #holders = new Map<string, Socket>();
  readonly #sockets = new Set<Socket>();

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** @throws TRANSPORT-FAILED */
  listen(address: SocketAddress): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (cause) => {
        reject(transportError("TRANSPORT-FAILED", `cannot listen on ${JSON.stringify(address)}`, { cause }));
      });
      this.#server.listen(address, resolve);
    });
  }

  /** The TCP port that was given; `undefined` on a path. */
  get port(): number | undefined {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : undefined;
  }

  publish(subject: string, message: TransportMessage): Promise<void> {
    return this.#queue(subject).publish(message);
  }

  async close(): Promise<void> {
    for (const queue of this.#subjects.values())
      queue.close(transportError("TRANSPORT-CLOSED", "the transport was closed"));
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    const reader = new PacketReader(PACKET_BYTES_MAX);
    let attached: Attached | undefined;
    this.#sockets.add(socket);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    // What fails a connection ends it; its receiver dials again and gets what it did not answer.
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      try {
        for (const packet of reader.read(chunk)) attached = this.#handle(packet, socket, attached);
      } catch (error) {
        if (!isProtocolError(error)) throw error;
        socket.destroy();
      }
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (attached === undefined) return;
      attached.queue.detach(attached.receiver);
      if (this.#holders.get(attached.subject) === socket) this.#holders.delete(attached.subject);
    });
  }

  #handle(packet: Packet, socket: Socket, attached: Attached | undefined): Attached {
    if (attached === undefined && packet.is === "subscribe") return this.#attach(packet.subject, packet.credit, socket);
    if (attached !== undefined && packet.is === "credit") attached.queue.grant(attached.receiver, packet.credit);
    else if (attached !== undefined && packet.is === "answer") {
      attached.queue.answer(packet.sequence, packet.attempt, packet.taken);
    } else throw transportError("TRANSPORT-PROTOCOL", `${packet.is} is out of place`);
    return attached;
  }

  #attach(subject: string, credit: number, socket: Socket): Attached {
    const queue = this.#queue(subject);
    const receiver = (message: QueuedMessage): void => {
      const { sequence, attempt, headers, body } = message;
      send(socket, { is: "message", sequence, attempt, headers, body });
    };
    const holder = this.#holders.get(subject);
    this.#holders.set(subject, socket);
    queue.attach(receiver, credit);
    if (holder !== undefined) {
      send(holder, { is: "replaced" });
      holder.end();
    }
    return { subject, queue, receiver };
  }

  #queue(subject: string): SubjectQueue {
    const queue = this.#subjects.get(subject) ?? new SubjectQueue(this.#capacity);
    this.#subjects.set(subject, queue);
    return queue;
  }
}

export function send(socket: Socket, packet: Packet): void {
  if (!socket.writable) return;
  socket.cork();
  for (const part of encodePacket(packet)) socket.write(part);
  socket.uncork();
}
