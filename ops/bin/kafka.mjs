// Kafka for tests: the broker's jars from Maven Central, kept where a fresh install does not remove them. Plain Node without
// dependencies.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** The last of the line that ZooKeeper ended with, and a current one. */
export const KAFKA_VERSIONS = ["3.9.2", "4.4.0"];
const SCALA = "2.13";
const JAVA_MIN = 17;
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

const jarsOf = (version) =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace", `kafka-${version}`);

const isHere = (version) =>
  existsSync(jarsOf(version)) && readdirSync(jarsOf(version)).some((name) => name.startsWith("kafka_"));

/** `{ version, jars }` of the brokers that tests run against, oldest first; none where Kafka is skipped. */
export function kafkaServers() {
  if (process.env.MILLRACE_SKIP_KAFKA) return [];
  return KAFKA_VERSIONS.filter(isHere).map((version) => ({ version, jars: jarsOf(version) }));
}

function javaMajor() {
  const run = spawnSync("java", ["-version"], { encoding: "utf8" });
  return run.status === 0 ? Number(/"(\d+)/.exec(run.stderr)?.[1] ?? 0) : 0;
}

/** Why a version cannot be tested here; `undefined` when it can. */
export function kafkaLacks(version) {
  const major = javaMajor();
  if (major < JAVA_MIN) return major === 0 ? "no Java on PATH" : `Java ${major} is older than ${JAVA_MIN}`;
  return isHere(version) ? undefined : `the jars of Kafka ${version} were not fetched`;
}

/** What went wrong, if anything did. */
export function fetchKafka(version) {
  if (javaMajor() < JAVA_MIN) return "no Java";
  if (spawnSync("mvn", ["--version"]).status !== 0) return "no Maven on PATH";
  const directory = mkdtempSync(join(tmpdir(), "millrace-kafka-"));
  writeFileSync(join(directory, "pom.xml"), pom(version));
  const run = spawnSync("mvn", ["--batch-mode", "--quiet", `${PLUGIN}:copy-dependencies`, "-DoutputDirectory=jars"], {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 600_000,
  });
  if (run.status === 0) {
    mkdirSync(dirname(jarsOf(version)), { recursive: true });
    cpSync(join(directory, "jars"), jarsOf(version), { recursive: true });
  }
  rmSync(directory, { recursive: true, force: true });
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  return run.status === 0 ? undefined : run.stdout || run.stderr || String(run.error);
}

function pom(version) {
  const dependency = (group, artifact, wanted) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${wanted}</version></dependency>`;
  return `<project><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependency("org.apache.kafka", `kafka_${SCALA}`, version)}${dependency("org.slf4j", "slf4j-nop", "1.7.36")}</dependencies>
</project>`;
}
