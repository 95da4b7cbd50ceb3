/**
 * npm run faults [-- --full] [-- file …]: every fault case of the product, one line each, and `FAULTS survived N of M` at the end: the
 * cases on real processes and disks, and those of the log on a simulated one. The short forms are part of `npm test`; `--full` kills and
 * cuts as often as is promised and flips every byte, which takes hours.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build, install, requireNode, root } from "../../bin/setup.mjs";

requireNode();
install();
build();
const names = process.argv.slice(2).filter((argument) => argument !== "--full");
const isFull = process.argv.includes("--full");
const CASES = [
  "ops/test/faults/",
  "streams/test/embedded-log/",
  "ops/test/audit/damage.sim.test.ts",
  "ops/test/audit/audit-tree.sim.test.ts",
];
const paths = names.length === 0 ? CASES : names;
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const FULL = {
  MILLRACE_FAULTS: "full",
  LOG_KILLS: "1000",
  LOG_POWER_CUTS: "200",
  LOG_FLIP_STRIDE: "1",
  LOG_SIM_SEEDS: "2000",
};
const scoreboard = join(import.meta.dirname, "scoreboard.mjs");
const run = spawnSync(process.execPath, [vitest, "run", "--reporter", scoreboard, ...paths], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...(isFull ? FULL : {}) },
});
process.exitCode = run.status ?? 130;
