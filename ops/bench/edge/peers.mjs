/** Builds the engine that the bench compares with, and what sends the trades, below `peers`. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const streams = join(import.meta.dirname, "..", "peers", "kafka-streams");
const sources = join(streams, "src", "main", "java", "millrace", "bench");
const jar = join(streams, "target", "kafka-streams-peer-1.jar");

export const STREAMS_CLASSPATH = `${jar}:${join(streams, "target", "jars", "*")}`;

/** Fetches and compiles what is not here, or is older than its sources. @throws what Maven said */
export function buildStreams() {
  const inputs = [join(streams, "pom.xml"), ...readdirSync(sources).map((name) => join(sources, name))];
  const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
  if (existsSync(jar) && statSync(jar).mtimeMs > newest) return;
  process.stderr.write("building Kafka Streams to compare with (once)\n");
  const args = ["--batch-mode", "--quiet", "--file", join(streams, "pom.xml"), "package"];
  const { status, stdout, stderr, error } = spawnSync("mvn", args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0)
    throw new Error(`the peer in Kafka Streams cannot be built: ${error?.message ?? `${stdout}${stderr}`}`);
}
