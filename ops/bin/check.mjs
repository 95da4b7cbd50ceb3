// npm run check: every gate in turn, the cheap ones first, one line each; a failing gate shows its output and ends the
// run. With --keep-going the gates after it run too.
import { spawnSync } from "node:child_process";
import { root } from "./setup.mjs";

const gates = ["lint", "build", "native", "typecheck", "deps", "knip", "unit", "unit:typescript"];
/**
 * Without the addon: what imports it, and the demo and looks at the past of graphs, end to end. Left out are folders that take minutes
 * and say nothing else of it, and what compares both ways: the project has none of them. `npm run unit:typescript` runs everything.
 */
const TYPESCRIPT = [
  "related",
  "native/src/addon.ts",
  "ops/test/flights.e2e.test.ts",
  "ops/test/past.e2e.test.ts",
  "--project=ops",
];
const argumentsOf = { native: ["--", "--test"], "unit:typescript": ["--", ...TYPESCRIPT] };
const keepGoing = process.argv.includes("--keep-going");
const failed = [];

for (const gate of gates) {
  const started = process.hrtime.bigint();
  const live = gate.startsWith("unit");
  const run = spawnSync("npm", ["run", "--silent", gate, ...(argumentsOf[gate] ?? [])], {
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
