/** Builds the engines that the bench compares with, and what sends the trades, below `peers`. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const peers = join(import.meta.dirname, "..", "peers");
const streams = join(peers, "kafka-streams");
const sources = join(streams, "src", "main", "java", "millrace", "bench");
const jar = join(streams, "target", "kafka-streams-peer-1.jar");

export const STREAMS_CLASSPATH = `${jar}:${join(streams, "target", "jars", "*")}`;

const connect = join(peers, "redpanda-connect");
/** The core of Redpanda Connect, with topics read and written by franz-go. */
export const CONNECT = join(connect, "target", "connect");

const bytewax = join(peers, "bytewax");
const venv = join(bytewax, "target", "venv");
export const BYTEWAX = join(bytewax, "run.sh");

/** Fetches and compiles what is not here, or is older than its sources. @throws what its tools said */
export function buildEngines() {
  build(
    "Kafka Streams",
    jar,
    [join(streams, "pom.xml"), ...readdirSync(sources).map((name) => join(sources, name))],
    [["mvn", "--batch-mode", "--quiet", "--file", join(streams, "pom.xml"), "package"]],
  );
  build(
    "Redpanda Connect",
    CONNECT,
    ["go.mod", "go.sum", "main.go"].map((name) => join(connect, name)),
    [["go", "build", "-C", connect, "-o", CONNECT, "."]],
  );
  const requirements = join(bytewax, "requirements.txt");
  const stamp = join(venv, "bin", "pip");
  build(
    "Bytewax",
    stamp,
    [requirements],
    [
      ["python3", "-m", "venv", "--clear", venv],
      [stamp, "install", "--quiet", "--requirement", requirements],
    ],
  );
}

function build(name, product, inputs, commands) {
  const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
  if (existsSync(product) && statSync(product).mtimeMs > newest) return;
  process.stderr.write(`building ${name} to compare with (once)\n`);
  for (const [program, ...args] of commands) {
    const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 1 << 28 });
    if (status !== 0) {
      rmSync(product, { force: true });
      throw new Error(`${name} cannot be built: ${error?.message ?? `${stdout}${stderr}`}`);
    }
  }
}
