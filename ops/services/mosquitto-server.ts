/** A real MQTT broker for tests, Debian's mosquitto. It writes its sessions to disk every second. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const mosquittoMissing: string | undefined = process.env.MILLRACE_SKIP_MQTT || undefined;

/** The same for what makes certificates. */
export const opensslMissing: string | undefined = process.env.MILLRACE_SKIP_OPENSSL || undefined;

/** `extra`: more lines of its configuration. */
export function startMosquitto(extra: readonly string[] = []): Promise<ServerProcess> {
  return ServerProcess.start(mosquitto(extra));
}

function mosquitto(extra: readonly string[]): ServerKind {
  return {
    name: "mosquitto",
    binary: "mosquitto",
    args(port, directory) {
      const path = join(directory, "mosquitto.conf");
      const lines = [
        "user root",
        `listener ${port} 127.0.0.1`,
        "allow_anonymous true",
        "max_queued_messages 0",
        "persistence true",
        `persistence_location ${directory}/`,
        "autosave_interval 1",
        ...extra,
      ];
      writeFileSync(path, `${lines.join("\n")}\n`);
      return ["-c", path];
    },
    // Who speaks TLS says nothing to that; that it listens is enough.
    greet: extra.some((line) => line.startsWith("certfile")) ? async () => mosquittoVersion() : greet,
  };
}

/** An MQTT 5 CONNECT without a client's name, and what answers it. */
const CONNECT = Buffer.from([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 5, 2, 0, 60, 0, 0, 0]);
const CONNACK = 0x20;

async function greet(socket: Socket): Promise<string> {
  socket.write(CONNECT);
  const [chunk] = (await once(socket, "data")) as [Buffer];
  if (chunk[0] !== CONNACK) throw new Error("this is no MQTT broker");
  return mosquittoVersion();
}

function mosquittoVersion(): string {
  return /version (\S+)/.exec(spawnSync("mosquitto", ["-h"], { encoding: "utf8" }).stdout ?? "")?.[1] ?? "";
}
