/**
 * A real ActiveMQ broker for tests, in a small heap, which speaks STOMP and AMQP 1.0. What it has taken as persistent it has written to
 * disk before it says so.
 */
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { ACTIVEMQ_VERSION, activemqJars } from "../bin/activemq.mjs";
import { freePort } from "./free-port.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The reason why there is none; `undefined` where there is one. */
export const activemqMissing: string | undefined = process.env.MILLRACE_SKIP_ACTIVEMQ || undefined;

export interface ActivemqSettings {
  /** More of the broker's settings, as XML: destination policies, plugins. */
  readonly policies?: string;
  readonly plugins?: string;
  /** Options of the connectors, as `name=value&…`. */
  readonly stompOptions?: string;
  readonly amqpOptions?: string;
  /** The broker speaks its own protocol, too, with these options, if any: JMS clients do. */
  readonly openwireOptions?: string;
  /** PKCS #12 file with the broker's key and certificate, and its password: connections are encrypted then. */
  readonly keyStore?: { readonly path: string; readonly password: string };
}

export interface ActivemqServer {
  /** Its port is the one that speaks STOMP. */
  readonly stomp: ServerProcess;
  readonly amqp: { readonly port: number; readonly address: string };
  /** Only where {@link ActivemqSettings.openwireOptions} are given. */
  readonly openwire: { readonly port: number; readonly address: string };
}

export async function startActivemq(settings: ActivemqSettings = {}): Promise<ActivemqServer> {
  const port = await freePort();
  const openwire = await freePort();
  const stomp = await ServerProcess.start(activemq(port, openwire, settings));
  return {
    stomp,
    amqp: { port, address: `127.0.0.1:${port}` },
    openwire: { port: openwire, address: `127.0.0.1:${openwire}` },
  };
}

/** A quick start counts for more than speed: no second compiler, one collector thread. */
const JAVA = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
const MAIN = "org.apache.activemq.console.command.ShellCommand";
const READY_MS = 60_000;

function activemq(amqpPort: number, openwirePort: number, settings: ActivemqSettings): ServerKind {
  const { keyStore } = settings;
  const secrets =
    keyStore === undefined
      ? []
      : [`-Djavax.net.ssl.keyStore=${keyStore.path}`, `-Djavax.net.ssl.keyStorePassword=${keyStore.password}`];
  return {
    name: "activemq",
    binary: "java",
    readyMs: READY_MS,
    args(port, directory) {
      const path = join(directory, "activemq.xml");
      mkdirSync(join(directory, "data"), { recursive: true });
      writeFileSync(path, xml(directory, { stomp: port, amqp: amqpPort, openwire: openwirePort }, settings));
      return [...JAVA, ...secrets, "-cp", join(activemqJars, "*"), MAIN, "start", `xbean:file:${path}`];
    },
    // Who speaks TLS says nothing to a plain greeting; that it listens is enough.
    greet: keyStore === undefined ? greet : async () => ACTIVEMQ_VERSION,
  };
}

const BEANS = "http://www.springframework.org/schema/beans";
const CORE = "http://activemq.apache.org/schema/core";

interface Ports {
  readonly stomp: number;
  readonly amqp: number;
  readonly openwire: number;
}

function xml(directory: string, ports: Ports, settings: ActivemqSettings): string {
  const { policies = "", plugins = "", stompOptions = "", amqpOptions = "", openwireOptions, keyStore } = settings;
  const secure = keyStore === undefined ? "" : "+ssl";
  const connector = (name: string, port: number, options: string, protocol = `${name}${secure}`): string =>
    `<transportConnector name="${name}" uri="${protocol}://127.0.0.1:${port}?${options.replaceAll("&", "&amp;")}"/>`;
  const openwire =
    openwireOptions === undefined
      ? ""
      : connector("openwire", ports.openwire, openwireOptions, keyStore === undefined ? "tcp" : "ssl");
  return `<beans xmlns="${BEANS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="${BEANS} ${BEANS}/spring-beans.xsd ${CORE} ${CORE}/activemq-core.xsd">
<broker xmlns="${CORE}" brokerName="test" useJmx="false" schedulerSupport="false" dataDirectory="${directory}/data">
  <destinationPolicy><policyMap><policyEntries>${policies}</policyEntries></policyMap></destinationPolicy>
  <persistenceAdapter><kahaDB directory="${directory}/data/kahadb" journalMaxFileLength="4mb"/></persistenceAdapter>
  <plugins>${plugins}</plugins>
  <systemUsage><systemUsage>
    <memoryUsage><memoryUsage limit="64mb"/></memoryUsage>
    <storeUsage><storeUsage limit="512mb"/></storeUsage>
    <tempUsage><tempUsage limit="64mb"/></tempUsage>
  </systemUsage></systemUsage>
  <transportConnectors>${connector("amqp", ports.amqp, amqpOptions)}${connector("stomp", ports.stomp, stompOptions)}${openwire}</transportConnectors>
</broker></beans>
`;
}

/** What a client of STOMP says first; the answer holds the version. */
const HELLO = "CONNECT\naccept-version:1.2\nhost:test\n\n\0";

async function greet(socket: Socket): Promise<string> {
  socket.write(HELLO);
  const [chunk] = (await once(socket, "data")) as [Buffer];
  const [, version] = /server:ActiveMQ\/(\S+)/.exec(chunk.toString()) ?? [];
  // One that lets in nobody without a password is ready, too.
  if (version === undefined && !chunk.toString().startsWith("ERROR")) throw new Error("this is no ActiveMQ broker");
  return version ?? ACTIVEMQ_VERSION;
}
