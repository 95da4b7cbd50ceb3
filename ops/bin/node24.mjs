// npm run test:node24: the test suite under Node 24, taken from its npm package into a temporary folder. Needs about
// 190 MB of download and disk, which is why no other script does it. Arguments go to vitest.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./setup.mjs";

const name = `node-${process.platform}-${process.arch}`;
const directory = mkdtempSync(join(tmpdir(), "millrace-node24-"));
try {
  const fetched = spawnSync("npm", ["install", "--silent", "--no-save", "--prefix", directory, `${name}@24`], {
    cwd: directory,
    stdio: "inherit",
  });
  if (fetched.status === 0) {
    const node = join(directory, "node_modules", name, "bin", "node");
    console.log(`Node ${spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim()}`);
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const run = spawnSync(node, [vitest, "run", ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
    process.exitCode = run.status ?? 130;
  } else {
    console.error(`npm could not install ${name}@24.`);
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
