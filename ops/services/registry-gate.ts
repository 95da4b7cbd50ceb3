/** What stands before a registry in practice: TLS and credentials. A test counts what passes, and closes it. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificate } from "./certificate.ts";

export class RegistryGate {
  /** `GET /path`, in the order in which they came; those that were let through. */
  readonly passed: string[] = [];
  isOpen = true;
  readonly #server: Server;
  readonly #to: URL;
  readonly #authorizations: readonly string[];

  private constructor(to: string, authorizations: readonly string[], { cert, key }: Certificate) {
    this.#to = new URL(to);
    this.#authorizations = authorizations;
    this.#server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (question, answer) =>
      this.#pass(question, answer),
    );
  }

  /** `authorizations`: headers of which one is demanded. */
  static async before(
    registry: string,
    authorizations: readonly string[],
    certificate: Certificate,
  ): Promise<RegistryGate> {
    const gate = new RegistryGate(registry, authorizations, certificate);
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #pass(question: IncomingMessage, answer: ServerResponse): void {
    if (!this.isOpen) {
      question.socket.destroy();
      return;
    }
    const { method = "", url = "", headers } = question;
    if (!this.#authorizations.includes(headers.authorization ?? "")) {
      answer.writeHead(401, { "content-type": "application/json" }).end('{"error_code":40101,"message":"who are you"}');
      return;
    }
    this.passed.push(`${method} ${url}`);
    const { hostname, port, pathname } = this.#to;
    const onward = { hostname, port, method, path: pathname + url, headers: { ...headers, host: this.#to.host } };
    const asked = request(onward, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(answer);
    });
    asked.on("error", () => answer.destroy());
    question.pipe(asked);
  }
}
