/** A gRPC service in Python, `ops/test/connectors/judges/grpc_judge.py`, whose orders can be followed and that takes orders. */
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kafkaClients } from "../bin/python-clients.mjs";
import type { Certificate } from "./certificate.ts";
import { ServerProcess } from "./server-process.ts";

const TESTS = join(import.meta.dirname, "../test/connectors");

/** An order that arrived at the shop. */
export interface Arrival {
  readonly method: string;
  readonly id: string;
  /** The idempotency key, where there is one. */
  readonly key: string | null;
  readonly token: string | null;
  readonly shop: string;
  readonly n: number;
  /** It is what the shop's own order with this number is. */
  readonly order: boolean;
}

/** Which methods fail, with the name of a status, and what else is out of order. */
export interface ShopMode {
  readonly Follow?: string;
  readonly List?: string;
  readonly Put?: string;
  readonly Load?: string;
  readonly Sync?: string;
  /** Numbers of orders that are refused. */
  readonly refuse?: readonly number[];
  /** What a failed call says of when to come back, in ms. */
  readonly pushback?: number;
  /** Bytes by which followed orders are larger. */
  readonly padding?: number;
  /** A followed stream ends when it has said all. */
  readonly ends?: boolean;
}

export class GrpcShop {
  readonly directory: string;
  readonly #server: ServerProcess;
  #offered = 0;

  private constructor(directory: string, server: ServerProcess) {
    this.directory = directory;
    this.#server = server;
  }

  /** With a certificate it is shown to clients, and wanted of them. */
  static async start(certificate?: Certificate): Promise<GrpcShop> {
    const directory = mkdtempSync(join(tmpdir(), "millrace-shop-"));
    const secure = certificate === undefined ? [] : [certificate.cert, certificate.key];
    const server = await ServerProcess.start({
      name: "grpc-shop",
      binary: kafkaClients.python,
      args: (port) => [
        join(TESTS, "judges", "grpc_judge.py"),
        String(port),
        directory,
        join(TESTS, "schemas", "grpc"),
        ...secure,
      ],
      async greet(socket) {
        // Its settings come first, unless it waits for a handshake.
        if (certificate === undefined) await once(socket, "data");
        return "";
      },
    });
    return new GrpcShop(directory, server);
  }

  get port(): number {
    return this.#server.port;
  }

  get address(): string {
    return this.#server.address;
  }

  /** Has so many orders more to be followed, numbered from 1 on. */
  offer(n: number): void {
    this.#offered += n;
    this.#say("offered", this.#offered);
  }

  mode(mode: ShopMode): void {
    this.#say("mode", mode);
  }

  /** As if it were new. */
  reset(): void {
    this.#offered = 0;
    this.#say("offered", 0);
    this.mode({});
    writeFileSync(join(this.directory, "taken"), "");
  }

  /** What arrived, whatever became of the process since. */
  taken(): readonly Arrival[] {
    const path = join(this.directory, "taken");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Arrival);
  }

  start(): Promise<void> {
    return this.#server.start();
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** As a whole or not at all. */
  #say(name: string, value: unknown): void {
    const path = join(this.directory, name);
    writeFileSync(`${path}.new`, JSON.stringify(value));
    renameSync(`${path}.new`, path);
  }
}
