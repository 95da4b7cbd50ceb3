/** A signal that comes when the session has ended and the process has not yet. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { root } from "./millrace.ts";

const signals = JSON.stringify(pathToFileURL(join(root, "ops", "dist", "cli", "signals.js")).href);

/** How a process ends that runs `session` and then hears of `late`. */
async function endOf(session: string, late: NodeJS.Signals): Promise<unknown> {
  const script = `
    import { onInterruption } from ${signals};
    const { signal, release } = onInterruption();
    ${session}
    release();
    process.kill(process.pid, "${late}");
  `;
  return await once(spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: "ignore" }), "exit");
}

it("leaves what was done as it ended", async () => {
  expect(await endOf("", "SIGTERM")).toEqual([0, null]);
});

it("ends a process that was told to end no sooner than it has a code", async () => {
  const told = `
    const running = setInterval(() => undefined, 1000);
    process.kill(process.pid, "SIGTERM");
    await signal;
    clearInterval(running);
    process.exitCode = 7;
  `;
  expect(await endOf(told, "SIGINT")).toEqual([7, null]);
});
