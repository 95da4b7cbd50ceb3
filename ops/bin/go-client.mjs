// The published Go client of KurrentDB, built into a judge of the EventStoreDB-compatible endpoint. Plain Node without
// dependencies, as setup.mjs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const source = join(root, "ops", "test", "eventstore", "judges", "go-judge");
const judge = join(root, "node_modules", ".cache", "millrace", "go-judge");
const stamp = `${judge}.built`;

/** Changes with the judge and the version of the client. */
function fingerprint() {
  const hash = createHash("sha256");
  for (const name of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(source, name)));
  return hash.digest("hex");
}

export const goClient = {
  judge,

  /** Why the judge cannot be used, or undefined. */
  missing() {
    const isBuilt = existsSync(judge) && existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint();
    return isBuilt ? undefined : "the Go client of KurrentDB could not be built";
  },

  /** Builds it with the Go that is there. The end of the output when that fails. */
  install(goEnv) {
    mkdirSync(dirname(judge), { recursive: true });
    const env = { ...process.env, ...goEnv, GOTOOLCHAIN: "local" };
    const run = spawnSync("go", ["build", "-o", judge, "."], { cwd: source, env, encoding: "utf8", timeout: 300_000 });
    if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
    if (run.status !== 0) return `${run.error?.message ?? run.stderr}`.slice(-2000);
    writeFileSync(stamp, fingerprint());
    return undefined;
  },
};
