// Servers for tests whose jars are on Maven Central, kept where a fresh install does not remove them. Plain Node without dependencies.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

const JAVA_MIN = 17;
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

/** Where the jars of a server are; `server` is its name and version. */
export const jarsOf = (server) => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace", server);

/** Whether a jar is there whose name begins so. */
export const hasJar = (server, prefix) =>
  existsSync(jarsOf(server)) && readdirSync(jarsOf(server)).some((name) => name.startsWith(prefix));

function javaMajor() {
  const run = spawnSync("java", ["-version"], { encoding: "utf8" });
  return run.status === 0 ? Number(/"(\d+)/.exec(run.stderr)?.[1] ?? 0) : 0;
}

/** Why servers on the JVM cannot be run here; `undefined` when they can. */
export function javaLacks() {
  const major = javaMajor();
  if (major >= JAVA_MIN) return undefined;
  return major === 0 ? "no Java on PATH" : `Java ${major} is older than ${JAVA_MIN}`;
}

/** Fetches what a server needs, each as `group:artifact:version`. What went wrong, if anything did. */
export function fetchJars(server, artifacts) {
  if (javaLacks() !== undefined) return "no Java";
  if (spawnSync("mvn", ["--version"]).status !== 0) return "no Maven on PATH";
  const directory = mkdtempSync(join(tmpdir(), "millrace-maven-"));
  writeFileSync(join(directory, "pom.xml"), pom(server, artifacts));
  const run = spawnSync("mvn", ["--batch-mode", "--quiet", `${PLUGIN}:copy-dependencies`, "-DoutputDirectory=jars"], {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 600_000,
  });
  if (run.status === 0) {
    mkdirSync(dirname(jarsOf(server)), { recursive: true });
    cpSync(join(directory, "jars"), jarsOf(server), { recursive: true });
  }
  rmSync(directory, { recursive: true, force: true });
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  return run.status === 0 ? undefined : run.stdout || run.stderr || String(run.error);
}

function pom(server, artifacts) {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>${server}-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join("")}</dependencies>
</project>`;
}
