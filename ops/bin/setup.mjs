// What a fresh machine needs before Millrace can be built, tested or started. Plain Node without dependencies: this
// runs before `npm ci` has run.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { activemqLacks, fetchActivemq } from "./activemq.mjs";
import { goClient } from "./go-client.mjs";
import { bridgeLacks, buildBridge, buildJava, javaLacks } from "./java.mjs";
import { fetchJmsClient, jmsLacks } from "./jms-client.mjs";
import { fetchKafka, KAFKA_VERSIONS, kafkaLacks } from "./kafka.mjs";
import { fetchLmdbJava, lmdbJavaLacks } from "./lmdbjava.mjs";
import { addonLacks, buildAddon } from "./native.mjs";
import { calculatorPython, kafkaClients, pythonClients } from "./python-clients.mjs";
import { fetchRegistry, registryLacks } from "./registry.mjs";
import { witnessPeer } from "./witness-peer.mjs";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const at = (...parts) => join(root, ...parts);
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

/** Ends the process with one sentence when this Node is older than the `engines` of the root package. */
export function requireNode() {
  const wanted = readJson(at("package.json")).engines.node.replace(">=", "");
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [wantedMajor, wantedMinor] = wanted.split(".").map(Number);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    console.error(`Millrace needs Node ${wanted} or newer; this is ${process.versions.node}.`);
    process.exit(1);
  }
}

/** Runs a command and shows its output only if it fails. Ends the process on failure. */
function quietly(title, command, args, env = {}) {
  process.stdout.write(`${title} … `);
  const started = process.hrtime.bigint();
  const run = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 1 << 28,
  });
  const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  if (run.status !== 0) {
    console.log(`failed after ${seconds} s`);
    process.stderr.write(`${run.stdout ?? ""}${run.stderr ?? ""}${run.error ? `${run.error.message}\n` : ""}`);
    process.exit(1);
  }
  console.log(`${seconds} s`);
}

/** True if what npm installed is what the lockfile lists for this machine. npm writes its own list last, so a broken-off install has none. */
export function isInstalled(directory = root) {
  const installedPath = join(directory, "node_modules", ".package-lock.json");
  if (!existsSync(installedPath)) return false;
  const { "": _root, ...locked } = readJson(join(directory, "package-lock.json")).packages;
  const installed = readJson(installedPath).packages;
  const same = (one, other) =>
    one.version === other.version && one.integrity === other.integrity && one.link === other.link;
  return (
    Object.entries(locked).every(([path, entry]) =>
      installed[path] ? same(entry, installed[path]) : entry.optional || entry.devOptional || entry.peer,
    ) && Object.keys(installed).every((path) => locked[path])
  );
}

export function install() {
  if (!isInstalled()) quietly("Installing dependencies", "npm", ["ci", "--loglevel=error"]);
}

const onPath = (...names) => names.some((name) => findOnPath(name) !== undefined);

function findOnPath(name) {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A NATS server that knows more than Debian's; built where there is a Go that can. */
export const NATS_VERSION = "v2.12.15";

/** Programs that were built for tests; outside of `node_modules`, so that a fresh install keeps them. */
const builtPath = (name) => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace", name);
const newNats = builtPath(`nats-server-${NATS_VERSION}`);

/** Paths of the NATS servers that tests run against, oldest first; none where NATS is skipped. */
export function natsServerBinaries() {
  if (process.env.MILLRACE_SKIP_NATS) return [];
  return [findOnPath("nats-server"), isExecutable(newNats) ? newNats : undefined].filter((path) => path !== undefined);
}

/** An S3 service over a folder (Apache-2.0), for which Debian has no package. Version 1.0 ignores conditions. */
export const S3_VERSION = "v1.8.0";
export const s3Gateway = builtPath(`versitygw-${S3_VERSION}`);

/** Go 1.21 and newer fetch the toolchain that a module asks for. What went wrong, if anything did. */
function buildWithGo(module, name, target) {
  if (!onPath("go")) return "no Go on PATH";
  const directory = mkdtempSync(join(tmpdir(), "millrace-go-"));
  const run = spawnSync("go", ["install", module], {
    encoding: "utf8",
    env: { ...process.env, GOBIN: directory },
    timeout: 600_000,
  });
  if (run.status === 0) {
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(directory, name), target);
  }
  rmSync(directory, { recursive: true, force: true });
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  return run.status === 0 ? undefined : run.stderr || String(run.error);
}

const WASM_TARGET = "wasm32-unknown-unknown";

/** Rust's standard library for WebAssembly comes from rustup; Debian's rustc has another. */
function wasmLacks() {
  const args = ["--print", "target-libdir", "--target", WASM_TARGET];
  const { status, stdout = "" } = spawnSync("rustc", args, { encoding: "utf8" });
  return status === 0 && existsSync(stdout.trim()) ? undefined : `Rust has no target ${WASM_TARGET}`;
}

const isRoot = () => process.getuid?.() === 0;

/** Mounting takes CAP_SYS_ADMIN (bit 21), which containers usually drop even for root. */
function mayMount() {
  if (!isRoot() || !existsSync("/dev/loop-control")) return false;
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${capabilities}`) >> 21n) & 1n) === 1n;
}

/** Where Go keeps modules for the tests: it would write read-only folders, which `npm ci` could not remove. */
export const goEnv = {
  GOMODCACHE: at("node_modules", ".cache", "millrace", "go"),
  GOFLAGS: "-modcacherw -buildvcs=false -mod=readonly",
};
const goPeer = at("ops", "test", "audit", "go-peer");
const hasGoModules = () => existsSync(join(goEnv.GOMODCACHE, "golang.org", "x"));

/** The module that the audit's proofs are checked with; without a network the suite is skipped. */
function fetchGoModules() {
  if (process.env.MILLRACE_SKIP_GO || !onPath("go") || hasGoModules()) return;
  const env = { ...process.env, ...goEnv };
  spawnSync("go", ["mod", "download"], { cwd: goPeer, env, stdio: "ignore", timeout: 60_000 });
}

/**
 * What test suites need beyond npm packages. A suite learns from `MILLRACE_SKIP_<name>` that it can't run, and why.
 * `missing` returns the reason, or undefined when all is there; `packages` is what Debian calls it.
 */
export const needs = [
  {
    name: "BROWSER",
    suites: "the console in a real browser",
    packages: ["chromium", "fonts-dejavu-core"],
    missing: () => (onPath("chromium", "chromium-browser", "google-chrome") ? undefined : "no Chromium on PATH"),
  },
  {
    name: "FAKETIME",
    suites: "clocks that jump",
    packages: ["faketime"],
    missing: () => (onPath("faketime") ? undefined : "no faketime on PATH"),
  },
  {
    name: "CC",
    suites: "failing disk calls and native calculators in C",
    packages: ["gcc", "libc6-dev"],
    missing: () => (onPath("cc") ? undefined : "no C compiler on PATH"),
  },
  {
    name: "GO",
    suites: "proofs of the audit against Go's checksum database",
    packages: ["golang-go"],
    missing: () => {
      if (!onPath("go")) return "no Go on PATH";
      return hasGoModules() ? undefined : "golang.org/x/mod could not be downloaded";
    },
  },
  {
    name: "WITNESS",
    suites: "cosignatures of the audit by litewitness",
    packages: ["golang-go", "openssh-client"],
    missing: () => {
      if (!onPath("go")) return "no Go on PATH";
      return onPath("ssh-agent") && onPath("ssh-keygen") ? witnessPeer.missing() : "no ssh-agent on PATH";
    },
    install: () => (onPath("go") ? witnessPeer.install(goEnv) : undefined),
  },
  {
    name: "NATS",
    suites: "connectors and edges over NATS",
    packages: ["nats-server"],
    missing: () => (onPath("nats-server") ? undefined : "no nats-server on PATH"),
  },
  {
    name: "NATS_NEW",
    suites: `the same against nats-server ${NATS_VERSION}`,
    packages: ["golang-go"],
    missing: () => (isExecutable(newNats) ? undefined : `nats-server ${NATS_VERSION} was not built`),
    install: () => buildWithGo(`github.com/nats-io/nats-server/v2@${NATS_VERSION}`, "nats-server", newNats),
  },
  {
    name: "REDIS",
    suites: "connectors to Redis",
    packages: ["redis-server"],
    missing: () => (onPath("redis-server") ? undefined : "no redis-server on PATH"),
  },
  ...KAFKA_VERSIONS.map((version, index) => ({
    name: index === 0 ? "KAFKA" : "KAFKA_NEW",
    suites: index === 0 ? "connectors and edges over Kafka" : `the same against Kafka ${version}`,
    packages: ["default-jdk-headless", "maven"],
    missing: () => kafkaLacks(version),
    install: () => fetchKafka(version),
  })),
  {
    name: "REGISTRY",
    suites: "messages by a schema registry",
    packages: ["default-jdk-headless", "maven"],
    missing: registryLacks,
    install: fetchRegistry,
  },
  {
    name: "KAFKA_PYTHON",
    suites: "messages by a schema registry, and gRPC services, judged by the Python clients",
    packages: ["python3", "python3-venv"],
    missing: () => kafkaClients.missing(),
    install: () => kafkaClients.install(),
  },
  {
    name: "POSTGRES",
    suites: "connectors to PostgreSQL",
    packages: ["postgresql"],
    missing: () => (existsSync("/usr/lib/postgresql") ? undefined : "no server in /usr/lib/postgresql"),
  },
  {
    name: "MYSQL",
    suites: "connectors to MariaDB",
    packages: ["mariadb-server"],
    missing: () => (onPath("mariadbd") ? undefined : "no mariadbd on PATH"),
  },
  {
    name: "SQLITE",
    suites: "connectors to SQLite",
    packages: ["sqlite3"],
    missing: () => (onPath("sqlite3") ? undefined : "no sqlite3 on PATH"),
  },
  {
    name: "S3",
    suites: "connectors to S3",
    packages: ["golang-go"],
    missing: () => (isExecutable(s3Gateway) ? undefined : `versitygw ${S3_VERSION} was not built`),
    install: () => buildWithGo(`github.com/versity/versitygw/cmd/versitygw@${S3_VERSION}`, "versitygw", s3Gateway),
  },
  {
    name: "MQTT",
    suites: "connectors to MQTT brokers",
    packages: ["mosquitto"],
    missing: () => (onPath("mosquitto") ? undefined : "no mosquitto on PATH"),
  },
  {
    name: "RABBITMQ",
    suites: "connectors to RabbitMQ",
    packages: ["rabbitmq-server"],
    missing: () =>
      existsSync("/usr/lib/rabbitmq/bin/rabbitmq-server") && onPath("epmd") ? undefined : "no RabbitMQ or no epmd",
  },
  {
    name: "ACTIVEMQ",
    suites: "connectors over STOMP and AMQP 1.0 to ActiveMQ",
    packages: ["default-jdk-headless", "maven"],
    missing: activemqLacks,
    install: fetchActivemq,
  },
  {
    name: "JMS",
    suites: "connectors to JMS brokers",
    packages: ["default-jdk-headless", "maven"],
    missing: () => activemqLacks() ?? jmsLacks(),
    install: fetchJmsClient,
  },
  {
    name: "LOOP",
    suites: "power cuts on a loop-mounted ext4",
    packages: ["e2fsprogs", "mount", "gcc", "libc6-dev"],
    missing: () => {
      if (!onPath("mkfs.ext4") || !onPath("cc")) return "no mkfs.ext4 or no C compiler on PATH";
      return mayMount() ? undefined : "only root with loop devices may mount";
    },
  },
  {
    name: "PYTHON",
    suites: "calculators in Python",
    packages: ["python3"],
    missing: () => {
      const version = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]);
      return version.status === 0 ? undefined : "no Python 3.11 on PATH";
    },
  },
  {
    name: "NUMPY",
    suites: "calculators in Python that use NumPy, the Python SDK with msgpack",
    packages: ["python3", "python3-venv"],
    missing: () => calculatorPython.missing(),
    install: () => calculatorPython.install(),
  },
  {
    name: "JAVA",
    suites: "calculators in Java",
    packages: ["default-jdk-headless", "maven"],
    missing: javaLacks,
  },
  {
    name: "RUST",
    suites: "the native addon and what it is compared with, calculators in C and Rust",
    packages: ["gcc", "libc6-dev"],
    missing: addonLacks,
  },
  {
    name: "CXX",
    suites: "calculators in C++, and what is built like them",
    packages: ["g++"],
    missing: () => addonLacks() ?? (onPath("c++") ? undefined : "no C++ compiler on PATH"),
  },
  {
    name: "WASM",
    suites: "calculators in WebAssembly",
    // Comes with rustup, as the toolchain does; Debian's own Rust is too old for the addon.
    packages: [],
    missing: wasmLacks,
    install: () => {
      const run = spawnSync("rustup", ["target", "add", WASM_TARGET], { encoding: "utf8", timeout: 120_000 });
      return run.status === 0 ? undefined : run.stderr || String(run.error);
    },
  },
  {
    name: "OPENSSL",
    suites: "the EventStoreDB endpoint over TLS",
    packages: ["openssl"],
    missing: () => (onPath("openssl") ? undefined : "no openssl on PATH"),
  },
  {
    name: "EVENTSTORE_PYTHON",
    suites: "the EventStoreDB endpoint judged by the Python clients",
    packages: ["python3", "python3-venv"],
    missing: () => pythonClients.missing(),
    install: () => pythonClients.install(),
  },
  {
    name: "LMDB",
    suites: "payload files read by C and Python",
    packages: ["liblmdb-dev", "python3-lmdb", "gcc", "libc6-dev"],
    missing: () => {
      if (!existsSync("/usr/include/lmdb.h") || !onPath("cc")) return "no C compiler or no LMDB headers";
      return existsSync("/usr/lib/python3/dist-packages/lmdb") ? undefined : "no py-lmdb for /usr/bin/python3";
    },
  },
  {
    name: "LMDBJAVA",
    suites: "payload files read by Java's LMDB",
    packages: ["default-jdk-headless", "maven"],
    missing: lmdbJavaLacks,
    install: fetchLmdbJava,
  },
  {
    name: "EVENTSTORE_GO",
    suites: "the EventStoreDB endpoint judged by the Go client",
    packages: ["golang-go"],
    missing: () => (onPath("go") ? goClient.missing() : "no Go on PATH"),
    install: () => (onPath("go") ? goClient.install(goEnv) : undefined),
  },
];

/** `{ MILLRACE_SKIP_<name>: reason }` for each suite that can't run here; a reason given from outside wins. */
export function skips() {
  const found = {};
  for (const { name, missing } of needs) {
    const variable = `MILLRACE_SKIP_${name}`;
    const reason = process.env[variable] || missing();
    if (reason) found[variable] = reason;
  }
  return found;
}

/** Installs what the suites lack, where that can be done without asking: as root on Debian. */
function installSystemPackages() {
  if (!isRoot() || !existsSync("/etc/debian_version") || !onPath("apt-get")) return;
  const lacking = needs.filter(({ name, missing }) => !process.env[`MILLRACE_SKIP_${name}`] && missing());
  const packages = [...new Set(lacking.flatMap((need) => need.packages))].filter((name) => !isDebianInstalled(name));
  if (packages.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  process.stdout.write(`Installing ${packages.join(", ")} … `);
  const started = process.hrtime.bigint();
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", ...packages]]) {
    const run = spawnSync("apt-get", ["--quiet=2", "-o", "DPkg::Lock::Timeout=120", ...args], {
      encoding: "utf8",
      env,
      maxBuffer: 1 << 28,
    });
    if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
    if (run.status !== 0) {
      console.log("failed");
      process.stderr.write(`${run.stderr}\n`);
      return;
    }
  }
  console.log(`${(Number(process.hrtime.bigint() - started) / 1e9).toFixed(1)} s`);
}

function isDebianInstalled(name) {
  return spawnSync("dpkg", ["--status", name], { encoding: "utf8" }).stdout?.includes(
    "\nStatus: install ok installed\n",
  );
}

/** What a suite brings itself, below node_modules. */
function installForSuites() {
  for (const { name, suites, missing, install } of needs) {
    if (!install || process.env[`MILLRACE_SKIP_${name}`] || !missing()) continue;
    process.stdout.write(`Installing what ${suites} needs … `);
    const failure = install();
    console.log(failure === undefined ? "done" : "failed");
    if (failure !== undefined) process.stderr.write(`${failure}\n`);
  }
}

/** Prepares the machine for tests and names what will be skipped; with `CI=true` a skip ends the process. */
export function prepareTests() {
  // Before, because Go may be here already; after, because it may have just come.
  fetchGoModules();
  installSystemPackages();
  fetchGoModules();
  prepare("RUST", "Building the native addon", addonLacks, buildAddon);
  prepare("JAVA", "Building the Java SDK", javaLacks, buildJava);
  prepare("JMS", "Building the JMS bridge", bridgeLacks, buildBridge);
  installForSuites();
  const skipped = skips();
  for (const { name, suites, packages } of needs) {
    const reason = skipped[`MILLRACE_SKIP_${name}`];
    const debian = packages.length === 0 ? "" : ` (Debian: ${packages.join(", ")})`;
    if (reason) console.log(`Skipping ${suites}: ${reason}${debian}.`);
  }
  if (process.env.CI === "true" && Object.keys(skipped).length > 0) {
    console.error("CI=true: a skipped suite is a failure.");
    process.exit(1);
  }
}

/** Builds what is not current and can be built here; a build that fails ends the process. */
function prepare(name, title, lacking, build) {
  if (process.env[`MILLRACE_SKIP_${name}`] || lacking() === undefined) return;
  process.stdout.write(`${title} … `);
  const started = process.hrtime.bigint();
  const { lacks, failed } = build();
  const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
  console.log(lacks ?? (failed === undefined ? `${seconds} s` : `failed after ${seconds} s`));
  if (failed === undefined) return;
  process.stderr.write(failed);
  process.exit(1);
}

const workspaces = () => readJson(at("package.json")).workspaces;
const stampPath = at("node_modules", ".cache", "millrace", "built");

/** Changes whenever a file that the build reads changes: names, sizes and modification times, not contents, so that it costs milliseconds. */
function sourceFingerprint() {
  const hash = createHash("sha256");
  const add = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return;
    if (stat.isDirectory()) {
      for (const name of readdirSync(path).sort()) if (name !== "node_modules") add(join(path, name));
    } else if (!/\.(test|bench)\.tsx?$|\.tsbuildinfo$/.test(path)) {
      hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`);
    }
  };
  for (const name of ["package.json", "package-lock.json", "tsconfig.json", "turbo.json"]) add(at(name));
  for (const workspace of workspaces()) {
    for (const name of ["package.json", "tsconfig.json", "rolldown.config.mjs", "src", "console"])
      add(at(workspace, name));
  }
  return hash.digest("hex");
}

const isBuilt = () =>
  workspaces().every((name) => existsSync(at(name, "dist"))) &&
  [at("gateway", "dist-console"), at("ops", "dist-cli")].every(existsSync);

/** Builds when a source is newer than the last build, or an output is gone. */
export function build() {
  const fingerprint = sourceFingerprint();
  if (isBuilt() && existsSync(stampPath) && readFileSync(stampPath, "utf8") === fingerprint) return;
  quietly("Building", "npm", ["run", "--silent", "build"]);
  mkdirSync(dirname(stampPath), { recursive: true });
  writeFileSync(stampPath, fingerprint);
}
