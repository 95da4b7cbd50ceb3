/** The addon's locks of files against those of the tool `flock`: each keeps the other out. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFileLock } from "@millrace/native";
import { systemDisk } from "@millrace/streams/embedded";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const EXIT_HELD = 1;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-file-lock-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe.skipIf(skipped)(`locks of files by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  const native = systemDisk(nativeFileLock());
  const byTool = systemDisk();

  it("are made in this process", () => expect(nativeFileLock()).toBeDefined());

  it.each([
    ["the addon", "the addon", native, native],
    ["the addon", "the tool", native, byTool],
    ["the tool", "the addon", byTool, native],
  ])("by %s keep out %s, until they are closed", async (_holding, _out, holder, asker) => {
    const path = join(directory, "LOCK");
    const held = await holder.open(path, { mode: "create" });
    const asking = await asker.open(path, { mode: "write" });
    expect(await held.tryLock()).toBe("flock");
    expect(await asking.tryLock()).toBeUndefined();
    expect(spawnSync("flock", ["--nonblock", path, "true"]).status).toBe(EXIT_HELD);
    await held.close();
    expect(await asking.tryLock()).toBe("flock");
    await asking.close();
  });

  it("are none on what is no open file", () => {
    expect(nativeFileLock()?.(-1)).toBe("unavailable");
    expect(nativeFileLock()?.(1_000_000)).toBe("unavailable");
  });
});
