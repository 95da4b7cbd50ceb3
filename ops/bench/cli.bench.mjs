/**
 * How long the command line takes to answer `--help`, against Node itself doing nothing; the ratio is that of the shortest runs, which
 * nobody interrupted: a busy machine lengthens the longer process more. And what a run of one row takes of the processor, its threads
 * included, against the same run from the modules that the command line is bundled from.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./measure.mjs";

const CLI = fileURLToPath(new URL("../dist-cli/millrace.js", import.meta.url));
const MODULES = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const GRAPH = `name: short
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  out: { kind: sink, input: in, to: "file:out.ndjson" }
`;

const TICKS_PER_S = 100;

/** Milliseconds of processor time of children that ended, in steps of 10 ms. */
function childrenMs() {
  const [user, system] = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ").slice(13, 15);
  return ((Number(user) + Number(system)) / TICKS_PER_S) * 1000;
}

function node(args) {
  const { status } = spawnSync(process.execPath, args, { stdio: "ignore" });
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}`);
}

function clockMs(args) {
  const started = process.hrtime.bigint();
  node(args);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

function runCpuMs(program, directory) {
  const data = join(directory, "data");
  const before = childrenMs();
  node([program, "run", join(directory, "graph.yaml"), "--until-done", "--data", data]);
  const ms = childrenMs() - before;
  rmSync(data, { recursive: true });
  return ms;
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 21 } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  writeFileSync(join(directory, "graph.yaml"), GRAPH);
  writeFileSync(join(directory, "in.ndjson"), "{}\n");
  const variants = {
    "node -e 0": () => clockMs(["-e", "0"]),
    "millrace --help": () => clockMs([CLI, "--help"]),
    "run, processor": () => runCpuMs(CLI, directory),
    "run from modules": () => runCpuMs(MODULES, directory),
  };
  const times = new Map(Object.keys(variants).map((name) => [name, []]));
  try {
    for (let r = 0; r < repeats; r++)
      for (const [name, variant] of Object.entries(variants)) times.get(name).push(variant());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  for (const [name, of] of times)
    process.stdout.write(
      `  ${name.padEnd(20)} ${Math.min(...of)
        .toFixed(1)
        .padStart(8)} ms, median ${median(of).toFixed(1)} ms\n`,
    );
  const [bare, help, run, modules] = [...times.values()];
  const rounded = (ratio) => Number(ratio.toFixed(3));
  return {
    ratios: {
      help: rounded(Math.min(...help) / Math.min(...bare)),
      runFromModules: rounded(median(modules) / median(run)),
    },
  };
}
