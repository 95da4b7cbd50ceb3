/**
 * A real Kafka for tests: one broker that is its own controller (KRaft), in a small heap. Its plain listener tells clients to
 * come to the broker itself; the one behind a wire tells them to come through the wire, so that a test can cut it.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { kafkaServers } from "../bin/kafka.mjs";
import { freePort, type ServerKind, ServerProcess } from "./server-process.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export interface KafkaKind {
  readonly version: string;
  /** Folder of the broker's jars. */
  readonly jars: string;
}

/** What makes the third listener secure. */
export interface KafkaSecurityFiles {
  /** Key and certificate of the broker, as PEM in one file. */
  readonly keyStore: string;
  readonly user: string;
  readonly password: string;
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
  readonly #process: ServerProcess;
  readonly #log: string;

  private constructor(version: string, process: ServerProcess, wire: TcpProxy, secureAddress: string, log: string) {
    this.version = version;
    this.#log = log;
    this.#process = process;
    this.wire = wire;
    this.secureAddress = secureAddress;
  }

  static async start({ version, jars }: KafkaKind, security?: KafkaSecurityFiles): Promise<KafkaServer> {
    const [controller, wired, secure] = [await freePort(), await freePort(), await freePort()];
    const wire = await TcpProxy.to({ port: wired });
    const settings = { controller, wired, secure, wire: wire.port, security };
    let log = "";
    const kind: ServerKind = {
      name: "kafka",
      readyMs: 60_000,
      binary: "java",
      args: (port, directory) => {
        const path = configured(directory, port, settings);
        log = join(directory, "log");
        if (security !== undefined) formatted(jars, directory, path, security);
        return [...JAVA, "-cp", join(jars, "*"), "kafka.Kafka", path];
      },
      greet,
    };
    const process = await ServerProcess.start(kind);
    return new KafkaServer(version, process, wire, `127.0.0.1:${secure}`, log);
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
const JAVA = ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

interface Settings {
  readonly controller: number;
  readonly wired: number;
  readonly secure: number;
  readonly wire: number;
  readonly security: KafkaSecurityFiles | undefined;
}

const CLUSTER = "millrace-test-cluster0";
const SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/** Users of SCRAM are kept with the cluster's metadata: the broker's own format command writes them, once. */
function formatted(jars: string, directory: string, path: string, { user, password }: KafkaSecurityFiles): void {
  if (existsSync(join(directory, "log", "meta.properties"))) return;
  const users = SCRAM.flatMap((name) => ["--add-scram", `${name}=[name=${user},password=${password}]`]);
  const format = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", path, ...users];
  const run = spawnSync("java", [...JAVA, "-cp", join(jars, "*"), ...format], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`the broker's folder was not made: ${run.stdout}${run.stderr}`);
}

/** Writes what the broker wants to find, also what its format command would, and returns where its settings are. */
function configured(directory: string, port: number, { controller, wired, secure, wire, security }: Settings): string {
  const log = join(directory, "log");
  mkdirSync(log, { recursive: true });
  if (security === undefined)
    writeFileSync(join(log, "meta.properties"), `version=1\ncluster.id=${CLUSTER}\nnode.id=1\n`, { flag: "a" });
  const path = join(directory, "server.properties");
  const listener = (name: string, at: number): string => `${name}://127.0.0.1:${at}`;
  const plain = [listener("PLAIN", port), listener("WIRED", wired)];
  const secured = security === undefined ? [] : [listener("SECURE", secure)];
  const settings = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controller}`,
    listeners: [...plain, ...secured, listener("CONTROLLER", controller)].join(","),
    "advertised.listeners": [listener("PLAIN", port), listener("WIRED", wire), ...secured].join(","),
    "listener.security.protocol.map": "PLAIN:PLAINTEXT,WIRED:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAIN",
    "log.dirs": log,
    // One that was killed takes part again only when its last session is over.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
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

function secureSettings({ keyStore, user, password }: KafkaSecurityFiles): Readonly<Record<string, string>> {
  const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
  return {
    "listener.name.secure.ssl.keystore.type": "PEM",
    "listener.name.secure.ssl.keystore.location": keyStore,
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
