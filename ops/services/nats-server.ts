/** Real NATS servers with JetStream for tests: Debian's, and a newer one if `ops/bin/setup.mjs` could build it. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { natsServerBinaries } from "../bin/setup.mjs";
import type { Certificate } from "./certificate.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The servers that this machine has, oldest first; none where `MILLRACE_SKIP_NATS` says why. */
export function natsServers(): readonly ServerKind[] {
  return natsServerBinaries().map(natsServer);
}

export function startNats(kind: ServerKind): Promise<ServerProcess> {
  return ServerProcess.start(kind);
}

/** The same server, for those who know the password. */
export function withPassword(kind: ServerKind, user: string, password: string): ServerKind {
  return {
    ...kind,
    args: (port, directory) => [...kind.args(port, directory), "--user", user, "--pass", password],
  };
}

/** The same server, for encrypted connections only. */
export function withTls(kind: ServerKind, { cert, key }: Certificate): ServerKind {
  return {
    ...kind,
    args: (port, directory) => [...kind.args(port, directory), "--tls", "--tlscert", cert, "--tlskey", key],
  };
}

/** The same server with settings in a file, which it reads again when it is told to. `text`: what the file says beside port and folder. */
export function withSettings(kind: ServerKind, text: string): ServerKind {
  return {
    ...kind,
    prepare: (directory) => writeSettings(directory, text),
    args: (port, directory) => [...kind.args(port, directory), "--config", join(directory, SETTINGS)],
  };
}

/** For {@link ServerProcess.reload}. */
export function writeSettings(directory: string, text: string): void {
  writeFileSync(join(directory, SETTINGS), text);
}

const SETTINGS = "settings.conf";

/** The version that a running server told. */
export function versionOf(server: ServerProcess): string {
  return String((JSON.parse(server.greeting) as { readonly version: unknown }).version);
}

function natsServer(binary: string): ServerKind {
  return {
    name: "nats",
    binary,
    args: (port, directory) => ["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", directory],
    greet,
  };
}

/** The server speaks first: `INFO {…}`. */
async function greet(socket: Socket): Promise<string> {
  let said = "";
  while (!said.includes("\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    said += chunk.toString();
  }
  const info = said.slice("INFO ".length, said.indexOf("\r\n"));
  if ((JSON.parse(info) as { readonly jetstream?: boolean }).jetstream !== true) throw new Error("JetStream is not up");
  return info;
}
