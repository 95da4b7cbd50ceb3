// Published Python packages, each set in an environment of its own below node_modules: judges of what Millrace serves and writes.
// Plain Node without dependencies, as setup.mjs.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "node_modules", ".cache", "millrace");

/** An environment with exactly these packages and what they need. */
function environment(name, pins) {
  const directory = join(cache, name);
  const stamp = join(directory, "installed");
  const python = join(directory, "bin", "python");
  return {
    /** The folder of its programs. */
    bin: dirname(python),
    python,

    /** Why they cannot be used, or undefined. */
    missing() {
      const isInstalled = existsSync(stamp) && readFileSync(stamp, "utf8") === pins.join("\n");
      return isInstalled ? undefined : `no Python environment with ${pins.join(" and ")}`;
    },

    /** Makes the environment. The end of the output when that fails. */
    install() {
      mkdirSync(dirname(directory), { recursive: true });
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", ...pins];
      for (const [command, ...args] of [
        ["python3", "-m", "venv", "--clear", directory],
        [python, ...pip],
      ]) {
        const run = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
        if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
        if (run.status !== 0) return `${run.error?.message ?? run.stderr}`.slice(-2000);
      }
      writeFileSync(stamp, pins.join("\n"));
      return undefined;
    },
  };
}

/** Of EventStoreDB: judges of the endpoint that speaks its protocol. */
export const pythonClients = environment("python-clients", ["esdbclient==1.1.7", "kurrentdbclient==1.0.7"]);

export const GRPC_VERSION = "1.85.3";

/** Of Kafka and its schema registry, with Google's gRPC and compiler of Protobuf: judges of messages that schemas describe, and of gRPC connectors. */
export const kafkaClients = environment("kafka-clients", [
  "confluent-kafka[avro,json,protobuf,schemaregistry]==2.16.1",
  `grpcio==${GRPC_VERSION}`,
  "grpcio-tools==1.85.1",
]);

/** For calculators that use NumPy, and for the SDK, which is faster with the package of msgpack. */
export const calculatorPython = environment("calculators", ["msgpack==1.1.2", "numpy==2.2.6"]);
