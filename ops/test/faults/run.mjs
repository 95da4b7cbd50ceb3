/**
 * npm run faults [-- --full] [-- file …]: every fault case of the product, one line each, and `FAULTS survived N of M` at the end.
 * The short forms are part of `npm test`; `--full` kills and cuts as often as is promised, which takes an hour or more.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build, install, requireNode, root } from "../../bin/setup.mjs";

requireNode();
install();
build();
const names = process.argv.slice(2).filter((argument) => argument !== "--full");
const isFull = process.argv.includes("--full");
const paths = names.length === 0 ? ["ops/test/faults/"] : names;
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const FULL = { MILLRACE_FAULTS: "full", LOG_KILLS: "200", LOG_POWER_CUTS: "50" };
const scoreboard = join(import.meta.dirname, "scoreboard.mjs");
const run = spawnSync(process.execPath, [vitest, "run", "--project", "ops", "--reporter", scoreboard, ...paths], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...(isFull ? FULL : {}) },
});
process.exitCode = run.status ?? 130;
