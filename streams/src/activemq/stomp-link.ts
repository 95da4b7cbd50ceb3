/** A connection to a broker over STOMP 1.2, of which the client's own reconnecting is off. */
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { Client, type IFrame, type IMessage, type StompHeaders } from "@stomp/stompjs";
import { hostAndPort, type Tls } from "../resilience/endpoint.ts";
import { StompSocket } from "./stomp-socket.ts";

export interface StompServer {
  readonly login?: string | undefined;
  readonly passcode?: string | undefined;
  /** Who the subscriptions of topics belong to. One connection at a time has it. */
  readonly clientId?: string | undefined;
  /** Absent: the connection is not encrypted. */
  readonly tls?: Tls | undefined;
}

/** What the broker said instead of doing what it was told; it closes the connection then. */
export class StompRefusal extends Error {}

/** The broker shows that it is alive this often. The protocol has no question that could be asked instead. */
const ALIVE_EVERY_MS = 500;
/** In which the broker notices that the other end of a connection is gone, and hands its messages to others. */
const HEARTBEAT_MS = 30_000;
/** Whether the broker is silent for too long is judged by the layer above, not by the client. */
const NEVER = Number.MAX_SAFE_INTEGER;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class StompLink {
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  readonly #client: Client;
  readonly #connected: Promise<void>;
  /** Who waits for which receipt. */
  readonly #receipts = new Map<string, Waiting>();
  #pongs: (() => void)[] = [];
  #reason: Error | undefined;
  #isEnded = false;
  #beats = false;
  #count = 0;

  private constructor(endpoint: string, { login, passcode, clientId, tls }: StompServer) {
    const { host, port } = hostAndPort(endpoint);
    this.#client = new Client({
      webSocketFactory: () => this.#socket(host, port, tls),
      connectHeaders: {
        host,
        ...(login === undefined ? {} : { login }),
        ...(passcode === undefined ? {} : { passcode }),
        ...(clientId === undefined ? {} : { "client-id": clientId }),
      },
      reconnectDelay: 0,
      connectionTimeout: 0,
      heartbeatIncoming: ALIVE_EVERY_MS,
      heartbeatOutgoing: HEARTBEAT_MS,
      heartbeatToleranceMultiplier: NEVER,
      onStompError: (frame) => this.#refused(frame),
      onUnhandledReceipt: ({ headers }) => this.#received(headers["receipt-id"] ?? ""),
      onWebSocketError: (error) => {
        this.#reason ??= error as Error;
      },
    });
    this.ended = new Promise((resolve) => {
      this.#client.onWebSocketClose = () => {
        this.#end();
        resolve(this.#reason);
      };
    });
    this.#connected = new Promise((resolve) => {
      this.#client.onConnect = ({ headers }) => {
        this.#beats = Number(headers["heart-beat"]?.split(",")[0] ?? 0) > 0;
        resolve();
      };
    });
    this.#client.activate();
  }

  static async open(endpoint: string, server: StompServer, signal: AbortSignal): Promise<StompLink> {
    const link = new StompLink(endpoint, server);
    const closed = link.ended.then((reason) => {
      throw reason ?? new Error("the broker closed the connection");
    });
    closed.catch(() => undefined);
    signal.addEventListener("abort", () => void link.end(), { once: true });
    await Promise.race([link.#connected, closed]);
    return link;
  }

  /** Hands over messages of a destination, none of which counts as taken before it is acknowledged. Resolves when the broker has it. */
  async subscribe(destination: string, headers: StompHeaders, receive: (message: IMessage) => void): Promise<void> {
    await this.#answered((receipt) => {
      this.#client.subscribe(destination, receive, { ...headers, ack: "client-individual", receipt });
    });
  }

  /** Of no use once the connection has ended: the message comes again then. */
  acknowledge(message: IMessage): void {
    if (!this.#isEnded) message.ack();
  }

  /** Resolves when the broker has the message where it promises to keep it. */
  send(destination: string, headers: StompHeaders, binaryBody: Uint8Array): Promise<void> {
    return this.#answered((receipt) =>
      this.#client.publish({ destination, headers: { ...headers, receipt }, binaryBody }),
    );
  }

  /** Resolves when the broker has shown that it is alive; at once where it does not show that. */
  ping(): Promise<void> {
    if (!this.#beats) return Promise.resolve();
    return new Promise((resolve) => this.#pongs.push(resolve));
  }

  async end(): Promise<void> {
    await this.#client.deactivate({ force: true });
  }

  /** Resolves when the broker has given the receipt that `ask` wants of it. */
  #answered(ask: (receipt: string) => void): Promise<void> {
    const receipt = String(++this.#count);
    return new Promise((resolve, reject) => {
      if (this.#isEnded) {
        reject(this.#endReason());
        return;
      }
      this.#receipts.set(receipt, { resolve, reject });
      ask(receipt);
    });
  }

  #socket(host: string, port: number, tls: Tls | undefined): StompSocket {
    const socket =
      tls === undefined
        ? connectTcp({ host, port })
        : connectTls({ host, port, servername: host, ...(tls.ca === undefined ? {} : { ca: tls.ca }) });
    // Anything shows that it is alive, also where it is too busy for heartbeats.
    socket.on("data", () => {
      for (const pong of this.#pongs.splice(0)) pong();
    });
    return new StompSocket(socket, tls === undefined ? "connect" : "secureConnect");
  }

  #refused({ headers, body }: IFrame): void {
    const refusal = new StompRefusal(headers.message ?? (body || "the broker refuses to go on"));
    this.#reason ??= refusal;
    // It ought to close the connection; nothing that comes behind an error can be relied upon.
    void this.end();
  }

  #received(receipt: string): void {
    const waiting = this.#receipts.get(receipt);
    this.#receipts.delete(receipt);
    waiting?.resolve();
  }

  #end(): void {
    this.#isEnded = true;
    const waiting = [...this.#receipts.values()];
    this.#receipts.clear();
    for (const { reject } of waiting) reject(this.#endReason());
  }

  #endReason(): Error {
    return this.#reason ?? new Error("the connection ended before the broker had taken everything");
  }
}
