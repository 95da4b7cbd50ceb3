/**
 * npm run bench -- <name> [--json] [--repeats N] [--seconds N] [--events N]: builds what is stale, installs the peers to compare with, runs
 * one bench in a process of its own. With --json the last line of stdout is one object with the figures.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { buildAddon } from "../bin/native.mjs";
import { build, install, isInstalled, requireNode } from "../bin/setup.mjs";

const directory = import.meta.dirname;
const SUFFIX = ".bench.mjs";
/** Folders with packages that a bench compares with. */
const PEERS = new Map([
  ["hop", "peers"],
  ["calculator", "peers/koffi"],
  ["kafka-drivers", "peers/kafka-drivers"],
]);

function names() {
  return readdirSync(directory)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

function installPeers(folder) {
  const peers = join(directory, folder);
  if (existsSync(join(peers, "node_modules")) && isInstalled(peers)) return;
  process.stderr.write("installing the peers to compare with (once)\n");
  const run = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: peers,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (run.status !== 0) process.exit(run.status ?? 130);
}

/** The bench itself, in a process that may collect garbage between runs and shares nothing with the build. */
async function runBench(name, options, json) {
  const { main } = await import(pathToFileURL(join(directory, `${name}${SUFFIX}`)).href);
  const figures = await main(options);
  if (json) process.stdout.write(`${JSON.stringify({ bench: name, node: process.version, ...figures })}\n`);
  else process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    repeats: { type: "string" },
    seconds: { type: "string" },
    events: { type: "string" },
    inside: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const [name] = positionals;
if (values.help || name === undefined || !names().includes(name)) {
  console.error(
    `usage: npm run bench -- <name> [--json] [--repeats N] [--seconds N] [--events N]\nbenches: ${names().join(", ")}`,
  );
  process.exit(values.help ? 0 : 2);
}
if (values.inside) {
  const numbers = Object.entries({ repeats: values.repeats, seconds: values.seconds, events: values.events });
  const options = Object.fromEntries(
    numbers.flatMap(([key, text]) => (text === undefined ? [] : [[key, Number(text)]])),
  );
  await runBench(name, options, values.json);
  // Worker threads of what was measured may still be there. With the code that a bound which does not hold has set.
  process.exit();
}
requireNode();
install();
build();
const { lacks, failed } = buildAddon();
if (lacks !== undefined || failed !== undefined) {
  process.stderr.write(`measured without the native addon: ${lacks ?? `it does not build\n${failed}`}\n`);
}
const peers = PEERS.get(name);
if (peers !== undefined) installPeers(peers);
const run = spawnSync(process.execPath, ["--expose-gc", import.meta.filename, ...process.argv.slice(2), "--inside"], {
  stdio: "inherit",
});
process.exitCode = run.status ?? 130;
