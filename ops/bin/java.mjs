// npm run java: builds with Maven what Millrace has in Java: the SDK of calculators, where ops/src/compile/calculator-process.ts looks, and
// the bridge to JMS clients, where ops/src/compile/jms-bridge.ts looks. Nothing is done for what is current. Plain Node without dependencies.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const JAVA_MIN = 17;

const SDK = {
  name: "the Java SDK",
  folder: join(root, "native", "sdk", "java"),
  jar: "millrace-calculator.jar",
  stamp: "java-sdk",
};
const BRIDGE = {
  name: "the JMS bridge",
  folder: join(root, "streams", "jms-bridge"),
  jar: "millrace-jms-bridge.jar",
  stamp: "jms-bridge",
};

/** Why this machine cannot build a jar; `undefined` when it can, the repository of Maven's plugins aside. */
function toolsLack() {
  const javac = spawnSync("javac", ["-version"], { encoding: "utf8" });
  const major = Number(/(\d+)/.exec(`${javac.stdout ?? ""}${javac.stderr ?? ""}`)?.[1] ?? 0);
  if (javac.status !== 0) return "no JDK on PATH";
  if (major < JAVA_MIN) return `Java ${major} is older than ${JAVA_MIN}`;
  return spawnSync("mvn", ["--version"]).status === 0 ? undefined : "no Maven on PATH";
}

/** Changes with the contents of every file that the jar is built from. */
function fingerprint({ folder }) {
  const hash = createHash("sha256");
  const add = (path) => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(`${path.slice(folder.length)}\0`).update(readFileSync(path));
  };
  for (const name of ["pom.xml", "src"]) add(join(folder, name));
  return hash.digest("hex");
}

const stampOf = ({ stamp }) => join(root, "node_modules", ".cache", "millrace", stamp);

function isCurrent(project) {
  const stamp = stampOf(project);
  const isThere = existsSync(join(project.folder, "target", project.jar)) && existsSync(stamp);
  return isThere && readFileSync(stamp, "utf8") === fingerprint(project);
}

/** Why what is in Java cannot be tested now; `undefined` when it can. */
function lacks(project) {
  if (isCurrent(project)) return undefined;
  return toolsLack() ?? `${project.name} is not built from its present sources (npm run java)`;
}

/** `{ built }` (false: it was current), `{ lacks: reason }` where it cannot be built, or `{ failed: output }`. */
function build(project) {
  if (isCurrent(project)) return { built: false };
  const reason = toolsLack();
  if (reason !== undefined) return { lacks: reason };
  const before = fingerprint(project);
  const run = spawnSync("mvn", ["--batch-mode", "--quiet", "package"], {
    cwd: project.folder,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const output = `${run.stdout}${run.stderr}`;
  if (run.status !== 0) {
    const isRemote = /Could not (?:transfer|resolve)|PluginResolutionException|UnknownHost/.test(output);
    return isRemote ? { lacks: "what Maven needs cannot be fetched" } : { failed: output };
  }
  mkdirSync(dirname(stampOf(project)), { recursive: true });
  writeFileSync(stampOf(project), before);
  return { built: true };
}

export const javaLacks = () => lacks(SDK);
export const buildJava = () => build(SDK);
export const bridgeLacks = () => lacks(BRIDGE);
export const buildBridge = () => build(BRIDGE);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const project of [SDK, BRIDGE]) {
    const { built, lacks: reason, failed } = build(project);
    const name = project.name[0].toUpperCase() + project.name.slice(1);
    if (reason !== undefined) console.log(`${name} is not built: ${reason}.`);
    else if (failed === undefined) console.log(`${name} is ${built ? "built" : "current"}.`);
    else {
      console.error(failed);
      process.exitCode = 1;
    }
  }
}
