/**
 * A registry of a few schemas in this process, for tests of what is around it; a test closes it for a while. What it answers is what real
 * ones answer, by which the client itself is tested.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class SchemaServer {
  isOpen = true;
  readonly #server: Server;
  /** Schemas of Avro, by their ids. */
  readonly #schemas: ReadonlyMap<number, object>;
  /** Ids of the newest, by their subjects. */
  readonly #subjects: ReadonlyMap<string, number>;

  private constructor(schemas: ReadonlyMap<number, object>, subjects: ReadonlyMap<string, number>) {
    this.#schemas = schemas;
    this.#subjects = subjects;
    this.#server = createServer((question, answer) => this.#answer(question, answer));
  }

  static async start(
    schemas: ReadonlyMap<number, object>,
    subjects: ReadonlyMap<string, number>,
  ): Promise<SchemaServer> {
    const server = new SchemaServer(schemas, subjects);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer({ url = "", socket }: IncomingMessage, answer: ServerResponse): void {
    if (!this.isOpen) {
      socket.destroy();
      return;
    }
    const found = this.#found(decodeURIComponent(url));
    answer
      .writeHead(found === undefined ? 404 : 200, { "content-type": "application/vnd.schemaregistry.v1+json" })
      .end(JSON.stringify(found ?? { error_code: 40401, message: "not found" }));
  }

  #found(path: string): object | undefined {
    if (path === "/schemas/types") return ["AVRO", "PROTOBUF", "JSON"];
    const id = Number(/^\/schemas\/ids\/(\d+)$/.exec(path)?.[1]);
    if (this.#schemas.has(id)) return { schema: JSON.stringify(this.#schemas.get(id)) };
    const subject = /^\/subjects\/(.+)\/versions\/latest$/.exec(path)?.[1] ?? "";
    const newest = this.#subjects.get(subject);
    if (newest === undefined) return undefined;
    return { subject, id: newest, version: 1, schema: JSON.stringify(this.#schemas.get(newest)) };
  }
}
