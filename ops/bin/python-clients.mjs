// The published Python clients of EventStoreDB, in an environment of their own below node_modules: judges of the
// EventStoreDB-compatible endpoint. Plain Node without dependencies, as setup.mjs.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PINS = ["esdbclient==1.1.7", "kurrentdbclient==1.0.7"];
const directory = join(
  dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
  "node_modules",
  ".cache",
  "millrace",
  "python-clients",
);
const stamp = join(directory, "installed");

export const pythonClients = {
  python: join(directory, "bin", "python"),

  /** Why the clients cannot be used, or undefined. */
  missing() {
    const isInstalled = existsSync(stamp) && readFileSync(stamp, "utf8") === PINS.join("\n");
    return isInstalled ? undefined : `no Python environment with ${PINS.join(" and ")}`;
  },

  /** Makes the environment. The end of the output when that fails. */
  install() {
    mkdirSync(dirname(directory), { recursive: true });
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", ...PINS];
    for (const [command, ...args] of [
      ["python3", "-m", "venv", "--clear", directory],
      [this.python, ...pip],
    ]) {
      const run = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
      if (run.signal === "SIGINT" || run.signal === "SIGTERM") process.exit(130);
      if (run.status !== 0) return `${run.error?.message ?? run.stderr}`.slice(-2000);
    }
    writeFileSync(stamp, PINS.join("\n"));
    return undefined;
  },
};
