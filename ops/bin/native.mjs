// npm run native: builds the Rust addon and the host of calculators in C, C++ and Rust, and puts them where native/src looks;
// and the example calculator in Rust, beside its graph. Nothing is done when they are current.
// With --test its crates are formatted, linted and tested too. Plain Node without dependencies.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const native = join(root, "native");
const example = join(root, "ops", "examples", "payload-chain");
/** What is built, and where it goes from cargo's target folder. */
const PRODUCTS = [
  { name: "libmillrace_native.so", at: join(native, "millrace.node") },
  { name: "millrace-calculator-host", at: join(native, "millrace-calculator-host") },
  { name: "libpayload_chain_energy.so", at: join(example, "energy.so") },
];
const stampPath = join(root, "node_modules", ".cache", "millrace", "addon");
const RUST_MIN = [1, 88];
const TARGETS = new Set(["linux-x64", "linux-arm64"]);

const runs = (command, args) => spawnSync(command, args, { encoding: "utf8" });

/** Why this machine cannot build the addon; `undefined` when it can, the registry aside. */
export function toolchainLacks() {
  const target = `${process.platform}-${process.arch}`;
  if (!TARGETS.has(target)) return `the addon is not made for ${target}`;
  const rustc = runs("rustc", ["--version"]);
  const [, major, minor] = /^rustc (\d+)\.(\d+)/.exec(rustc.stdout ?? "") ?? [];
  if (major === undefined || runs("cargo", ["--version"]).status !== 0) return "no Rust toolchain on PATH";
  if (Number(major) === RUST_MIN[0] && Number(minor) < RUST_MIN[1]) {
    return `Rust ${major}.${minor} is older than ${RUST_MIN.join(".")}`;
  }
  return runs("cc", ["--version"]).status === 0 ? undefined : "no C compiler on PATH";
}

/** Changes with the contents of every file that the addon is built from. */
function fingerprint() {
  const hash = createHash("sha256");
  const add = (path) => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name));
    else hash.update(`${relative(root, path)}\0`).update(readFileSync(path));
  };
  for (const name of ["Cargo.toml", "Cargo.lock", "crates", "node", join("sdk", "rust")]) add(join(native, name));
  add(join(example, "energy"));
  return hash.digest("hex");
}

/** Whether addon and host are there and built from the sources that are there. */
export function isAddonCurrent() {
  return (
    PRODUCTS.every(({ at }) => existsSync(at)) &&
    existsSync(stampPath) &&
    readFileSync(stampPath, "utf8") === fingerprint()
  );
}

/** Why tests of the addon cannot run now; `undefined` when they can. */
function addonBuildLacks() {
  if (isAddonCurrent()) return undefined;
  return toolchainLacks() ?? "the addon is not built from its present sources (npm run native)";
}

/** The same, or that it is switched off: then what is tested is the TypeScript that does its work. */
export const addonLacks = () => (process.env.MILLRACE_NATIVE === "off" ? "MILLRACE_NATIVE=off" : addonBuildLacks());

const cargoOptions = {
  cwd: native,
  encoding: "utf8",
  env: { ...process.env, CARGO_TARGET_DIR: join(native, "target") },
  maxBuffer: 1 << 28,
};

const cargo = (...args) => spawnSync("nice", ["-n", "10", "cargo", ...args], cargoOptions);

const PACKAGES = ["millrace-native", "millrace-calculator-host", "payload-chain-energy"].map(
  (name) => `--package=${name}`,
);

/** `{ built }` (false: it was current), `{ lacks: reason }` where it cannot be built, or `{ failed: output }`. */
export function buildAddon() {
  if (isAddonCurrent()) return { built: false };
  const lacks = toolchainLacks();
  if (lacks !== undefined) return { lacks };
  const before = fingerprint();
  const fetched = cargo("fetch", "--locked");
  if (fetched.stderr.includes("--locked")) return { failed: fetched.stderr };
  if (fetched.status !== 0) return { lacks: "its crates cannot be fetched" };
  const build = cargo("build", "--release", "--locked", "--offline", ...PACKAGES);
  if (build.status !== 0) return { failed: build.stderr };
  for (const { name, at } of PRODUCTS) {
    const draft = `${at}.${process.pid}`;
    copyFileSync(join(native, "target", "release", name), draft);
    renameSync(draft, at);
  }
  mkdirSync(dirname(stampPath), { recursive: true });
  writeFileSync(stampPath, before);
  return { built: true };
}

/** Builds what is not current in a process of its own that outlives this one. Answers whether there is something to build. */
export function buildAddonBeside() {
  if (addonBuildLacks() === undefined || toolchainLacks() !== undefined) return false;
  spawn(process.execPath, [fileURLToPath(import.meta.url), "--quiet"], { detached: true, stdio: "ignore" }).unref();
  return true;
}

const has = (component) => cargo(component, "--version").status === 0;

/** The output of the first check of the crates that failed. */
function testCrates() {
  const crates = [
    "--workspace",
    "--exclude=millrace-native",
    "--features=millrace-lodge/faults",
    "--locked",
    "--offline",
  ];
  const checks = [
    ...(has("fmt") ? [["fmt", "--check"]] : []),
    ...(has("clippy") ? [["clippy", ...crates, "--all-targets", "--", "--deny=warnings"]] : []),
    ["test", ...crates],
  ];
  for (const args of checks) {
    const run = cargo(...args);
    if (run.status !== 0) return `cargo ${args.join(" ")}\n${run.stdout}${run.stderr}`;
  }
  return undefined;
}

function main(args) {
  const quiet = args.includes("--quiet");
  const { built, lacks, failed } = buildAddon();
  if (lacks !== undefined) {
    if (!quiet) console.log(`The native addon is not built: ${lacks}. TypeScript does its work.`);
    return;
  }
  const output = failed ?? (args.includes("--test") ? testCrates() : undefined);
  if (output !== undefined) {
    if (!quiet) console.error(output);
    process.exitCode = 1;
  } else if (!quiet) console.log(built ? "The native addon is built." : "The native addon is current.");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
