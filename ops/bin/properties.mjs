// npm run properties [-- files]: the property tests with a seed that no run had before, or with MILLRACE_SEED; the seed is
// printed first. Other tests run only the cases that were written down.

import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { root } from "./setup.mjs";

const seed = process.env.MILLRACE_SEED ?? String(randomInt(2 ** 31));
console.log(`MILLRACE_SEED=${seed}`);
const files = process.argv.slice(2);
const named =
  files.length === 0
    ? spawnSync("git", ["grep", "-l", "fast-check", "--", "*.test.ts"], { cwd: root, encoding: "utf8" })
        .stdout.trim()
        .split("\n")
    : files;
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const run = spawnSync(process.execPath, [vitest, "run", ...named], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, MILLRACE_SEED: seed },
});
process.exitCode = run.status ?? 130;
