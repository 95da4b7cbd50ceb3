/** The receiver's end of one subscription: dials, receives within its credit, answers, and dials again when cut off. */
import { connect, type Socket } from "node:net";
import { type Delivery, type Env, type Subscription, sleep } from "@millrace/engine";
import { send } from "./outgoing.ts";
import type { SocketAddress } from "./socket-address.ts";
import { isProtocolError, type Packet, PacketReader } from "./wire.ts";

export interface IncomingOptions {
  readonly env: Env;
  readonly subject: string;
  readonly address: SocketAddress;
  readonly packetBytesMax: number;
  readonly receive: (delivery: Delivery) => void;
  readonly credit: number;
}

const RETRY_MS = 20;
const RETRY_MS_MAX = 2000;
const KEEP_ALIVE_MS = 5000;
/** In which the other end reads the last answers; one that is gone without a word never ends the connection. */
const FAREWELL_MS = 1000;

export class Incoming implements Subscription {
  readonly #options: IncomingOptions;
  readonly #ended: AbortController = new AbortController();
  readonly #running: Promise<void>;
  /** Granted and not used. */
  #credit: number;
  #socket: Socket | undefined;
  #failures = 0;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#credit = options.credit;
    this.#running = this.#run();
  }

  grant(credit: number): void {
    this.#credit += credit;
    if (this.#socket !== undefined) send(this.#socket, { is: "credit", credit });
  }

  async close(): Promise<void> {
    this.#ended.abort();
    const socket = this.#socket?.end();
    const insist = this.#options.env.timers.after(FAREWELL_MS, () => socket?.destroy());
    await this.#running;
    insist.cancel();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.#connection();
      if (!signal.aborted) await this.#pause();
    }
  }

  /** Back-off with jitter, so that many receivers do not come back at once. */
  async #pause(): Promise<void> {
    const { env } = this.#options;
    const longest = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    const ms = longest / 2 + (longest / 2) * (env.random.u32() / 2 ** 32);
    await sleep(env, ms, this.#ended.signal).catch(() => undefined);
  }

  /** One connection, from dialling to its end. */
  #connection(): Promise<void> {
    const { address, subject, packetBytesMax } = this.#options;
    const reader = new PacketReader(packetBytesMax);
    const socket = connect(address);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    socket.on("connect", () => {
      if (this.#ended.signal.aborted) {
        socket.destroy();
        return;
      }
      this.#socket = socket;
      send(socket, { is: "subscribe", credit: this.#credit, subject });
    });
    socket.on("data", (chunk) => {
      try {
        for (const packet of reader.read(chunk)) this.#handle(packet, socket);
      } catch (error) {
        if (!isProtocolError(error)) throw error;
        socket.destroy();
      }
    });
    // The end of a connection is handled the same whatever caused it.
    socket.on("error", () => socket.destroy());
    const abort = (): void => void (this.#socket === undefined && socket.destroy());
    this.#ended.signal.addEventListener("abort", abort, { once: true });
    return new Promise((resolve) => {
      socket.on("close", () => {
        this.#ended.signal.removeEventListener("abort", abort);
        this.#socket = undefined;
        resolve();
      });
    });
  }

  #handle(packet: Packet, socket: Socket): void {
    if (packet.is === "replaced") this.#ended.abort();
    if (packet.is !== "message" || this.#ended.signal.aborted) return;
    const { sequence, attempt, headers, body } = packet;
    this.#failures = 0;
    this.#credit -= 1;
    let answered = false;
    const answer = (taken: boolean): void => {
      if (answered) return;
      answered = true;
      send(socket, { is: "answer", sequence, attempt, taken });
    };
    const { subject, receive } = this.#options;
    receive({ subject, headers, body, attempt, ack: () => answer(true), nack: () => answer(false) });
  }
}
