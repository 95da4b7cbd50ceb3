// A schema registry for tests: Apicurio's, from Maven Central, kept where a fresh install does not remove it. Plain Node
// without dependencies.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** The last that runs on Java 17, which the brokers need, too. */
export const REGISTRY_VERSION = "2.6.13.Final";
const JAVA_MIN = 17;
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

const home = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace", `apicurio-${REGISTRY_VERSION}`);
const jar = join(home, `apicurio-registry-app-${REGISTRY_VERSION}-runner.jar`);

/** The jar that is started; `undefined` where the registry is skipped. */
export function registryJar() {
  return process.env.MILLRACE_SKIP_REGISTRY || !existsSync(jar) ? undefined : jar;
}

function javaMajor() {
  const run = spawnSync("java", ["-version"], { encoding: "utf8" });
  return run.status === 0 ? Number(/"(\d+)/.exec(run.stderr)?.[1] ?? 0) : 0;
}

/** Why it cannot be tested with here; `undefined` when it can. */
export function registryLacks() {
  const major = javaMajor();
  if (major < JAVA_MIN) return major === 0 ? "no Java on PATH" : `Java ${major} is older than ${JAVA_MIN}`;
  return existsSync(jar) ? undefined : `Apicurio Registry ${REGISTRY_VERSION} was not fetched`;
}

/** What went wrong, if anything did. */
export function fetchRegistry() {
  if (javaMajor() < JAVA_MIN) return "no Java";
  if (spawnSync("mvn", ["--version"]).status !== 0) return "no Maven on PATH";
  const directory = mkdtempSync(join(tmpdir(), "millrace-registry-"));
  const artifact = `io.apicurio:apicurio-registry-app:${REGISTRY_VERSION}:tar.gz:all`;
  const copy = [
    "--batch-mode",
    "--quiet",
    `${PLUGIN}:copy`,
    `-Dartifact=${artifact}`,
    `-DoutputDirectory=${directory}`,
  ];
  const options = { encoding: "utf8", maxBuffer: 1 << 28, timeout: 600_000, cwd: directory };
  let run = spawnSync("mvn", copy, options);
  if (run.status === 0) {
    mkdirSync(home, { recursive: true });
    const archive = join(directory, `apicurio-registry-app-${REGISTRY_VERSION}-all.tar.gz`);
    run = spawnSync("tar", ["-xzf", archive, "-C", home], options);
  }
  rmSync(directory, { recursive: true, force: true });
  if (run.status !== 0) rmSync(home, { recursive: true, force: true });
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  return run.status === 0 ? undefined : run.stdout || run.stderr || String(run.error);
}
