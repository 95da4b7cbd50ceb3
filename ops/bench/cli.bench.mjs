/**
 * How long the command line takes to answer `--help`, against Node itself doing nothing. The ratio is that of the shortest runs, which
 * nobody interrupted: a busy machine lengthens the longer process more.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "./measure.mjs";

const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const VARIANTS = { "node -e 0": ["-e", "0"], "millrace --help": [CLI, "--help"] };

function timed(args) {
  const started = process.hrtime.bigint();
  const { status } = spawnSync(process.execPath, args, { stdio: "ignore" });
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}`);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 21 } = {}) {
  const times = new Map(Object.keys(VARIANTS).map((name) => [name, []]));
  for (let r = 0; r < repeats; r++)
    for (const [name, args] of Object.entries(VARIANTS)) times.get(name).push(timed(args));
  for (const [name, of] of times)
    process.stdout.write(
      `  ${name.padEnd(20)} ${Math.min(...of)
        .toFixed(1)
        .padStart(8)} ms, median ${median(of).toFixed(1)} ms\n`,
    );
  const [bare, help] = [...times.values()].map((of) => Math.min(...of));
  return { ratios: { help: Number((help / bare).toFixed(3)) } };
}
