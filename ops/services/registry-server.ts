/** A real schema registry for tests: Apicurio's, which keeps what it has in memory and serves the interface of Confluent's. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { registryJar } from "../bin/registry.mjs";
import { ServerProcess } from "./server-process.ts";

/** As for the brokers: a quick start counts for more than speed. */
const JAVA = ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
const PATH = "/apis/ccompat/v7";

/** Whether this machine has one; false where `MILLRACE_SKIP_REGISTRY` says why. */
export const hasRegistry = (): boolean => registryJar() !== undefined;

export async function startRegistry(): Promise<{ readonly port: number; readonly url: string; stop(): Promise<void> }> {
  const jar = registryJar();
  if (jar === undefined) throw new Error("there is no registry");
  const process = await ServerProcess.start({
    name: "registry",
    binary: "java",
    args: (port) => [...JAVA, "-Dquarkus.http.host=127.0.0.1", `-Dquarkus.http.port=${port}`, "-jar", jar],
    readyMs: 60_000,
    greet,
  });
  return {
    port: process.port,
    url: `http://${process.address}${PATH}`,
    async stop() {
      // It keeps nothing, and its orderly end takes seconds.
      await process.kill();
      await process.stop();
    },
  };
}

async function greet(socket: Socket): Promise<string> {
  socket.write(`GET ${PATH}/subjects HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  if (!answer.toString().startsWith("HTTP/1.1 200")) throw new Error("it does not answer yet");
  return "registry";
}
