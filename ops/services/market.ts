/**
 * A service on the web for tests, with one list of numbers behind every address: `/page?after=` gives pages, `/events` server-sent events
 * that go on behind `Last-Event-ID`, `/socket` a WebSocket whose messages are sent until they are acknowledged, and `/in/<name>` takes what
 * is sent over a WebSocket and acknowledges it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const PAGE = 50;
const WINDOW = 200;

interface Sent {
  readonly id: string;
  readonly data: { readonly n: number };
}

export class Market {
  /** What was taken, by the name in the address, in the order in which it came. */
  readonly taken = new Map<string, Sent[]>();
  port = 0;
  #count = 0;
  #server: Server | undefined;
  #sockets: WebSocketServer | undefined;
  readonly #streams = new Set<ServerResponse>();
  readonly #unacknowledged: number[] = [];
  #pumps = new Set<() => void>();

  /** Listens at the port it had before, if it had one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket, { url = "" }) => {
      if (url === "/socket") this.#serve(socket);
      else this.#collect(socket, url.replace("/in/", ""));
    });
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#sockets = sockets;
  }

  /** Ends every connection without a word, as a process does that is killed. */
  async kill(): Promise<void> {
    const server = this.#server;
    for (const client of this.#sockets?.clients ?? []) client.terminate();
    this.#sockets?.close();
    server?.close();
    server?.closeAllConnections();
    if (server?.listening === true) await once(server, "close");
  }

  /** Adds so many numbers to the list. */
  offer(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#unacknowledged.push(this.#count++);
      for (const stream of this.#streams) stream.write(eventOf(this.#count - 1));
    }
    for (const pump of this.#pumps) pump();
  }

  #answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
    if (url.startsWith("/events")) {
      response.writeHead(200, { "content-type": "text/event-stream" }).write("retry: 10\n\n");
      for (let n = Number(headers["last-event-id"] ?? -1) + 1; n < this.#count; n++) response.write(eventOf(n));
      this.#streams.add(response);
      response.on("close", () => this.#streams.delete(response));
      return;
    }
    const after = Number(new URL(url, "http://market").searchParams.get("after") ?? -1);
    const rows = Array.from({ length: Math.min(PAGE, this.#count - 1 - after) }, (_, i) => ({ n: after + 1 + i }));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ rows }));
  }

  /** One client at a time: what it did not acknowledge goes to the next. */
  #serve(socket: WebSocket): void {
    const sent = new Set<number>();
    const pump = (): void => {
      for (const n of this.#unacknowledged) {
        if (sent.size >= WINDOW || socket.readyState !== socket.OPEN) return;
        if (sent.has(n)) continue;
        sent.add(n);
        socket.send(JSON.stringify({ id: n, data: { n } }));
      }
    };
    socket.on("message", (text) => {
      const { ack } = JSON.parse(String(text)) as { readonly ack: number };
      sent.delete(ack);
      const at = this.#unacknowledged.indexOf(ack);
      if (at >= 0) this.#unacknowledged.splice(at, 1);
      if (sent.size < WINDOW / 2) pump();
    });
    this.#pumps.add(pump);
    socket.on("close", () => this.#pumps.delete(pump));
    pump();
  }

  #collect(socket: WebSocket, name: string): void {
    const taken = this.taken.get(name) ?? [];
    this.taken.set(name, taken);
    socket.on("message", (text) => {
      const message = JSON.parse(String(text)) as Sent;
      taken.push(message);
      socket.send(JSON.stringify({ ack: message.id }));
    });
  }
}

const eventOf = (n: number): string => `id: ${n}\nevent: number\ndata: {"n":${n}}\n\n`;
