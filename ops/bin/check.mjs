// npm run check: every gate in turn, the cheap ones first, one line each; a failing gate shows its output and ends the
// run. With --keep-going the gates after it run too.
import { spawnSync } from "node:child_process";
import { root } from "./setup.mjs";

/** Without the addon: what imports it. Left out is what compares both ways. `npm run unit:typescript` runs everything. */
const IMPORTS_ADDON = ["related", "native/src/addon.ts", "--project=ops"];
/** … and logs from the first append to a pruned archive, and graphs of each kind, end to end. */
const USES_ADDON = [
  ...["calculators", "event-schemas", "examples", "field-names", "flights", "past", "payloads", "sql"].map(
    (name) => `ops/test/${name}.e2e.test.ts`,
  ),
  ...["audit", "personal", "retention"].map((folder) => `ops/test/${folder}/`),
  ...["bad-rows", "damage", "kills", "log-"].map((name) => `ops/test/faults/${name}`),
];
/** Scripts of the project, and what they are given. */
const gates = [
  ["lint"],
  ["build"],
  ["native", "--test"],
  ["typecheck"],
  ["deps"],
  ["knip"],
  ["unit"],
  ["unit:typescript", ...IMPORTS_ADDON],
  ["unit:typescript", ...USES_ADDON],
];
const keepGoing = process.argv.includes("--keep-going");
const failed = [];

for (const [gate, ...words] of gates) {
  const started = process.hrtime.bigint();
  const live = gate.startsWith("unit");
  const run = spawnSync("npm", ["run", "--silent", gate, "--", ...words], {
    cwd: root,
    encoding: "utf8",
    env: live ? process.env : { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
    maxBuffer: 1 << 28,
    stdio: live ? "inherit" : "pipe",
  });
  if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
  const seconds = (Number(process.hrtime.bigint() - started) / 1e9).toFixed(1);
  const ok = run.status === 0;
  console.log(`${ok ? "ok    " : "FAILED"} ${gate.padEnd(9)} ${seconds.padStart(6)} s`);
  if (ok) continue;
  if (!live) process.stderr.write(`${run.stdout}${run.stderr}`);
  failed.push(gate);
  if (!keepGoing) break;
}

if (failed.length > 0) {
  console.error(`\ncheck failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
