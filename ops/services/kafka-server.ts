/**
 * A real Kafka for tests: a broker that is a controller, too (KRaft), in a small heap, alone or a member of a cluster. Its plain
 * listener tells clients to come to the broker itself; the one behind a wire tells them to come through the wire, so that a test
 * can cut it.
 */
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { kafkaServers } from "../bin/kafka.mjs";
import { freePort } from "./free-port.ts";
import { allowUsers, giveUser, takeUser } from "./kafka-users.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export interface KafkaKind {
  readonly version: string;
  /** Folder of the broker's jars. */
  readonly jars: string;
}

/** What makes the third listener secure. */
export interface KafkaSecurity {
  /** Key and certificate of the broker, as PEM in one file. Without it the listener only asks for a user. */
  readonly keyStore?: string;
  readonly user: string;
  readonly password: string;
  /** How long a login lasts, in ms. Default: as long as its connection. */
  readonly loginMs?: number;
}

/** The place of a broker in a cluster. */
export interface KafkaMember {
  readonly id: number;
  /** Ports of the controllers; that of broker 1 is the first. */
  readonly controllers: readonly number[];
}

export interface KafkaServerOptions {
  readonly security?: KafkaSecurity;
  /** Default: there is no other one. */
  readonly member?: KafkaMember;
  /** The folder that it keeps its records in. Default: one of its own. */
  readonly log?: string;
  /**
   * It is ended and started again, and is to take part again soon. Then it leads nothing for a while when a busy machine gives it no turn for
   * a second. Default false; the members of a cluster always are.
   */
  readonly restarts?: boolean;
}

/** The brokers that this machine has, oldest first; none where `MILLRACE_SKIP_KAFKA` says why. */
export function kafkaKinds(): readonly KafkaKind[] {
  return kafkaServers();
}

export class KafkaServer {
  readonly version: string;
  /** Of the wire to the broker. */
  readonly wire: TcpProxy;
  /** Address of the listener that wants TLS and SASL; if it was asked for. */
  readonly secureAddress: string;
  readonly #log: string;
  readonly #process: ServerProcess;

  private constructor(version: string, process: ServerProcess, wire: TcpProxy, secureAddress: string, log: string) {
    this.version = version;
    this.#log = log;
    this.#process = process;
    this.wire = wire;
    this.secureAddress = secureAddress;
  }

  static async start(
    { version, jars }: KafkaKind,
    { security, member, log, restarts = member !== undefined }: KafkaServerOptions = {},
  ): Promise<KafkaServer> {
    const [wired, secure] = [await freePort(), await freePort()];
    const wire = await TcpProxy.to({ port: wired });
    const { id, controllers } = member ?? { id: 1, controllers: [await freePort()] };
    const sessionMs = restarts ? RESTARTED_MS * controllers.length : SESSION_MS;
    const settings = { id, controllers, wired, secure, wire: wire.port, security, sessionMs };
    const kind: ServerKind = {
      name: "kafka",
      readyMs: 120_000,
      binary: "java",
      args: (port, directory) => [
        ...JAVA,
        `-Xmx${controllers.length > 1 ? 256 : 384}m`,
        ...["-cp", join(jars, "*"), "kafka.Kafka", configured(directory, log ?? logIn(directory), port, settings)],
      ],
      greet,
    };
    const process = await ServerProcess.start(kind);
    const server = new KafkaServer(version, process, wire, `127.0.0.1:${secure}`, log ?? logIn(process.directory));
    if (security === undefined) return server;
    await allowUsers(process.port);
    await server.give(security);
    return server;
  }

  get address(): string {
    return this.#process.address;
  }

  /** The file that the broker keeps the first records of a partition in. */
  segmentOf(topic: string, partition = 0): string {
    return join(this.#log, `${topic}-${partition}`, `${"0".repeat(20)}.log`);
  }

  /** Starts it again with what it had on disk. */
  start(): Promise<void> {
    return this.#process.start();
  }

  /** Ends it as a crash would. */
  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Resolves when it has ended by itself, or was ended. */
  get whenEnded(): Promise<void> {
    return this.#process.whenEnded;
  }

  /** Lets a user in, by SCRAM. */
  give({ user, password }: KafkaSecurity): Promise<void> {
    return giveUser(this.#process.port, user, password);
  }

  /** Lets a user in no longer. */
  take({ user }: KafkaSecurity): Promise<void> {
    return takeUser(this.#process.port, user);
  }

  /** As those of a {@link ServerProcess}. */
  remember(): void {
    this.#process.remember();
  }

  forget(): void {
    this.#process.forget();
  }

  async stop(): Promise<void> {
    await this.wire.close();
    // Nothing of it is needed any more, and its orderly end takes seconds.
    await this.#process.kill();
    await this.#process.stop();
  }
}

/** A quick start counts for more than speed: no second compiler, one collector thread. */
const JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

interface Settings {
  readonly id: number;
  readonly controllers: readonly number[];
  readonly wired: number;
  readonly secure: number;
  readonly wire: number;
  readonly security: KafkaSecurity | undefined;
  /** How long a broker is taken to be there that is not heard of. */
  readonly sessionMs: number;
}

/** Kafka's own. */
const SESSION_MS = 9000;
/** One that was killed takes part again only when its last session is over. */
const RESTARTED_MS = 1000;
const CLUSTER = "millrace-test-cluster0";
const SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
const PROTOCOLS = "PLAIN:PLAINTEXT,WIRED:PLAINTEXT,SECURE:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT";
const logIn = (directory: string): string => join(directory, "log");

/** Writes what the broker wants to find, also what its format command would, and returns where its settings are. */
function configured(directory: string, log: string, port: number, made: Settings): string {
  const { id, controllers, wired, secure, wire, security, sessionMs } = made;
  mkdirSync(log, { recursive: true });
  writeFileSync(join(log, "meta.properties"), `version=1\ncluster.id=${CLUSTER}\nnode.id=${id}\n`, { flag: "a" });
  const path = join(directory, "server.properties");
  const listener = (name: string, at: number): string => `${name}://127.0.0.1:${at}`;
  const plain = [listener("PLAIN", port), listener("WIRED", wired)];
  const secured = security === undefined ? [] : [listener("SECURE", secure)];
  const replicas = String(controllers.length);
  const inSync = controllers.length > 1 ? "2" : "1";
  const settings = {
    "process.roles": "broker,controller",
    "node.id": String(id),
    "controller.quorum.voters": controllers.map((controller, i) => `${i + 1}@127.0.0.1:${controller}`).join(","),
    listeners: [...plain, ...secured, listener("CONTROLLER", controllers[id - 1] as number)].join(","),
    "advertised.listeners": [listener("PLAIN", port), listener("WIRED", wire), ...secured].join(","),
    "listener.security.protocol.map": PROTOCOLS,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAIN",
    "log.dirs": log,
    "broker.session.timeout.ms": String(sessionMs),
    "broker.heartbeat.interval.ms": "200",
    "default.replication.factor": replicas,
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSync,
    "transaction.state.log.num.partitions": "1",
    "min.insync.replicas": inSync,
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    ...(security === undefined ? {} : secureSettings(security)),
  };
  writeFileSync(
    path,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  return path;
}

function secureSettings({ keyStore, user, password, loginMs }: KafkaSecurity): Readonly<Record<string, string>> {
  const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
  const encrypted = {
    "listener.security.protocol.map": PROTOCOLS.replace("SASL_PLAINTEXT", "SASL_SSL"),
    "listener.name.secure.ssl.keystore.type": "PEM",
    "listener.name.secure.ssl.keystore.location": String(keyStore),
  };
  return {
    ...(keyStore === undefined ? {} : encrypted),
    ...(loginMs === undefined ? {} : { "connections.max.reauth.ms": String(loginMs) }),
    "listener.name.secure.sasl.enabled.mechanisms": ["PLAIN", ...SCRAM].join(","),
    ...Object.fromEntries(
      SCRAM.map((name) => [
        `listener.name.secure.${name.toLowerCase()}.sasl.jaas.config`,
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
      ]),
    ),
    "listener.name.secure.plain.sasl.jaas.config": `${login} user_${user}="${password}";`,
  };
}

/** ApiVersions, version 0, of a client without a name. */
const GREETING = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);

/** Answers when it takes requests. */
async function greet(socket: Socket): Promise<string> {
  socket.write(GREETING);
  const [answer] = (await once(socket, "data")) as [Buffer];
  if (answer.length < 10 || answer.readInt16BE(8) !== 0) throw new Error("it does not take requests yet");
  return "kafka";
}
