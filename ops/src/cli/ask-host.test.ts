import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { careOfHost, isRunning } from "./ask-host.ts";

const LISTENS = `require("node:net").createServer().listen(process.argv[1], () => process.stdout.write("it listens"))`;

/** The directory of a socket whose process is stopped, so that it takes nobody, and what kills it. */
async function stoppedHost(): Promise<{ readonly directory: string; readonly kill: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-ask-"));
  const child = spawn(process.execPath, ["-e", LISTENS, join(directory, "care.sock")]);
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });
  await once(child.stdout, "data");
  child.kill("SIGSTOP");
  const kill = (): void => {
    child.kill("SIGKILL");
    // Without a turn of this process, which would see that it was connected. The last thread closes the socket.
    while (threadsOf(child.pid) > 1 || !/^State:\s+Z/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8")));
  };
  return { directory, kill };
}

function threadsOf(pid: number | undefined): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

test.skipIf(process.platform !== "linux")("a host that is killed before it takes a connection is lost", async () => {
  const host = await stoppedHost();
  const asked = careOfHost(host.directory).holds({});
  host.kill();
  await expect(asked).rejects.toMatchObject({ code: "HOST-LOST" });
  const other = await stoppedHost();
  const found = isRunning(other.directory);
  other.kill();
  expect(await found).toBe(false);
});
