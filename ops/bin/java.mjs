// npm run java: builds the Java SDK's jar with Maven where ops/src/compile/calculator-process.ts looks; nothing is done when it
// is current. Plain Node without dependencies.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const sdk = join(root, "native", "sdk", "java");
const jar = join(sdk, "target", "millrace-calculator.jar");
const stampPath = join(root, "node_modules", ".cache", "millrace", "java-sdk");
const JAVA_MIN = 17;

/** Why this machine cannot build the jar; `undefined` when it can, the repository of Maven's plugins aside. */
function toolsLack() {
  const javac = spawnSync("javac", ["-version"], { encoding: "utf8" });
  const major = Number(/(\d+)/.exec(`${javac.stdout ?? ""}${javac.stderr ?? ""}`)?.[1] ?? 0);
  if (javac.status !== 0) return "no JDK on PATH";
  if (major < JAVA_MIN) return `Java ${major} is older than ${JAVA_MIN}`;
  return spawnSync("mvn", ["--version"]).status === 0 ? undefined : "no Maven on PATH";
}

/** Changes with the contents of every file that the jar is built from. */
function fingerprint() {
  const hash = createHash("sha256");
  const add = (path) => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(`${path.slice(sdk.length)}\0`).update(readFileSync(path));
  };
  for (const name of ["pom.xml", "src"]) add(join(sdk, name));
  return hash.digest("hex");
}

const isCurrent = () => existsSync(jar) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === fingerprint();

/** Why calculators in Java cannot be tested now; `undefined` when they can. */
export function javaLacks() {
  if (isCurrent()) return undefined;
  return toolsLack() ?? "the Java SDK is not built from its present sources (npm run java)";
}

/** `{ built }` (false: it was current), `{ lacks: reason }` where it cannot be built, or `{ failed: output }`. */
export function buildJava() {
  if (isCurrent()) return { built: false };
  const lacks = toolsLack();
  if (lacks !== undefined) return { lacks };
  const before = fingerprint();
  const run = spawnSync("mvn", ["--batch-mode", "--quiet", "package"], {
    cwd: sdk,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const output = `${run.stdout}${run.stderr}`;
  if (run.status !== 0) {
    const isRemote = /Could not transfer artifact|PluginResolutionException|UnknownHost/.test(output);
    return isRemote ? { lacks: "Maven's plugins cannot be fetched" } : { failed: output };
  }
  mkdirSync(dirname(stampPath), { recursive: true });
  writeFileSync(stampPath, before);
  return { built: true };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { built, lacks, failed } = buildJava();
  if (lacks !== undefined) console.log(`The Java SDK is not built: ${lacks}.`);
  else if (failed === undefined) console.log(built ? "The Java SDK is built." : "The Java SDK is current.");
  else {
    console.error(failed);
    process.exitCode = 1;
  }
}
