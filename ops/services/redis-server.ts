/** A real Redis server for tests, Debian's: every write is on disk before it is answered, as a sink's target should be. */
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Certificate } from "./certificate.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const redisMissing: string | undefined = process.env.MILLRACE_SKIP_REDIS || undefined;

export function startRedis(): Promise<ServerProcess> {
  return ServerProcess.start(REDIS);
}

/** One that takes encrypted connections only. */
export function startSecureRedis({ cert, key }: Certificate): Promise<ServerProcess> {
  return ServerProcess.start({
    ...REDIS,
    args: (port, directory) => [
      ...["--bind", "127.0.0.1", "--port", "0", "--tls-port", String(port), "--dir", directory, "--save", ""],
      ...["--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"],
    ],
    // It says nothing to who does not encrypt; that it listens is enough.
    greet: async () => "",
  });
}

const REDIS: ServerKind = {
  name: "redis",
  binary: "redis-server",
  args: (port, directory) => [
    ...["--bind", "127.0.0.1", "--port", String(port), "--dir", directory],
    ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
  ],
  greet,
};

/** Answers with its version; while it still loads, it answers with an error. */
async function greet(socket: Socket): Promise<string> {
  socket.write("INFO server\r\n");
  let said = "";
  while (!said.includes("tcp_port")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    said += chunk.toString();
    if (said.startsWith("-")) throw new Error(said);
  }
  return /redis_version:(\S+)/.exec(said)?.[1] ?? "";
}
