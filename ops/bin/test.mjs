// npm test: makes a fresh machine ready, says what can't be tested on it, then runs the whole gate.
import { spawnSync } from "node:child_process";
import { install, prepareTests, requireNode, root } from "./setup.mjs";

requireNode();
install();
prepareTests();
const run = spawnSync(process.execPath, [`${root}/ops/bin/check.mjs`, ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = run.status ?? 130;
