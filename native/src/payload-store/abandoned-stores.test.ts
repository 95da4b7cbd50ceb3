import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { removeAbandonedStores } from "./abandoned-stores.ts";
import { openMappedPayloadStore } from "./mapped-payload-store.ts";

const ADDON = join(import.meta.dirname, "..", "..", "millrace.node");
/** Puts a payload and is killed. */
const PROCESS = `
const [addon, dir] = process.argv.slice(1);
const lodge = new (require(addon).Lodge)(dir, { bytesMax: 2 ** 20, leasedBytesMax: 2 ** 30, machineBytesMax: 2 ** 40, slots: 8, leaseMs: 5000 });
lodge.put(new Uint8Array(100000), 0);
process.kill(process.pid, "SIGKILL");
`;
const HOUR_MS = 60 * 60 * 1000;

function killedIn(dir: string): void {
  expect(spawnSync(process.execPath, ["-e", PROCESS, ADDON, dir]).signal).toBe("SIGKILL");
}

/** As if nothing had changed for two hours. */
function aged(dir: string): void {
  const then = new Date(Date.now() - 2 * HOUR_MS);
  for (const store of readdirSync(dir)) utimesSync(join(dir, store), then, then);
}

test.skipIf(process.env.MILLRACE_SKIP_RUST)(
  "what killed processes left goes after an hour, and nothing else",
  async () => {
    const parent = mkdtempSync(join(tmpdir(), "millrace-abandoned-"));
    onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
    const at = (name: string): string => join(parent, name);
    for (const name of ["own-killed", "own-young", "own-used", "foreign"]) killedIn(at(name));
    mkdirSync(at("own-other"));
    const used = openMappedPayloadStore({ dir: at("own-used") });
    for (const name of ["own-killed", "own-used", "foreign"]) aged(at(name));
    await removeAbandonedStores(parent, /^own-/);
    expect(readdirSync(parent).toSorted()).toEqual(["foreign", "own-other", "own-used", "own-young"]);
    await used.close();
    aged(at("own-used"));
    await removeAbandonedStores(parent, /^own-/);
    expect(readdirSync(parent)).not.toContain("own-used");
  },
);
