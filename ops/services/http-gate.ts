/**
 * A proxy before an HTTP service that does to single requests what networks and services do: refuses them, cuts them at any point, or
 * answers with less than was to be answered. Signed requests pass as they are.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** What happens to a request. */
export type GateFault =
  /** Answered with a status and a body, and not passed on. */
  | { readonly status: number; readonly body: string }
  /** Cut before anything is passed on. */
  | "cut"
  /** Cut when a half of what the client sends was passed on. */
  | "cut-request"
  /** Passed on, and cut instead of answered. */
  | "cut-answer"
  /** Passed on, and cut in the middle of the answer's body. */
  | "cut-body"
  /** Answered with a half of the body, as if it were all. */
  | "shorten";

export class HttpGate {
  readonly port: number;
  /** `METHOD /path`, in the order in which requests came. */
  readonly asked: string[] = [];
  /** What happens to the next request; default nothing. */
  fault: (asked: string) => GateFault | undefined = () => undefined;
  readonly #server: Server;
  readonly #to: { readonly port: number };

  private constructor(server: Server, to: { readonly port: number }) {
    this.#server = server;
    this.#to = to;
    this.port = (server.address() as AddressInfo).port;
  }

  static async before(to: { readonly port: number }): Promise<HttpGate> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const gate = new HttpGate(server, to);
    server.on("request", (question: IncomingMessage, answer: ServerResponse) => void gate.#pass(question, answer));
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #pass(question: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = question;
    const asked = `${method} ${url}`;
    this.asked.push(asked);
    const fault = this.fault(asked);
    question.on("error", () => undefined);
    const body = await buffer(question).catch(() => undefined);
    if (fault === "cut" || body === undefined) return void question.socket.destroy();
    if (typeof fault === "object") return void answer.writeHead(fault.status).end(fault.body);
    const onward = request({ host: "127.0.0.1", port: this.#to.port, method, path: url, headers });
    onward.on("error", () => question.socket.destroy());
    if (fault === "cut-request") {
      // Whether the service has answered already or not.
      onward.on("close", () => question.socket.destroy());
      onward.write(body.subarray(0, body.length / 2), () => onward.destroy());
      return;
    }
    onward.on("response", (got) => void this.#answer(got, answer, fault));
    onward.end(body);
  }

  async #answer(got: IncomingMessage, answer: ServerResponse, fault: GateFault | undefined): Promise<void> {
    try {
      const body = await buffer(got);
      if (fault === "cut-answer") return void answer.destroy();
      const half = body.subarray(0, body.length / 2);
      const length = fault === "shorten" ? { "content-length": half.length } : {};
      answer.writeHead(got.statusCode ?? 502, { ...got.headers, ...length });
      if (fault === "cut-body") return void answer.write(half, () => answer.destroy());
      answer.end(fault === "shorten" ? half : body);
    } catch {
      answer.destroy();
    }
  }
}
