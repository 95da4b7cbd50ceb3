// litewitness, a published witness of transparency logs, and a judge of what it has cosigned. Plain Node without dependencies, as
// setup.mjs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const source = join(root, "ops", "test", "audit", "witness-peer");
const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
/** Outside of `node_modules`, so that a fresh install keeps them: they take a minute to build. */
const programs = join(cache, "millrace", `witness-peer-${fingerprint()}`);
const stamp = join(programs, "built");

/** Changes with the judge and the pinned modules. */
function fingerprint() {
  const hash = createHash("sha256");
  for (const name of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(source, name)));
  return hash.digest("hex").slice(0, 16);
}

export const witnessPeer = {
  litewitness: join(programs, "litewitness"),
  judge: join(programs, "witness-peer"),

  /** Why they cannot be used, or undefined. */
  missing() {
    return existsSync(stamp) ? undefined : "litewitness could not be built (it needs Go 1.24)";
  },

  /** Builds them with the Go that is there. The end of the output when that fails. */
  install(goEnv) {
    mkdirSync(programs, { recursive: true });
    const env = { ...process.env, ...goEnv, GOTOOLCHAIN: "local" };
    const args = ["build", "-o", `${programs}/`, "filippo.io/torchwood/cmd/litewitness", "."];
    const run = spawnSync("go", args, { cwd: source, env, encoding: "utf8", timeout: 300_000 });
    if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
    if (run.status !== 0) return `${run.error?.message ?? run.stderr}`.slice(-2000);
    writeFileSync(stamp, "");
    return undefined;
  },
};
