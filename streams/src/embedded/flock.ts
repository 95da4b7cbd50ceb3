/**
 * flock(2) without native code. The lock belongs to the open file description, so the util-linux tool `flock` takes it on a
 * descriptor that it inherits; the tool ends, the lock stays with the description that this process still holds, and it goes when
 * this process does, however it dies.
 */
import { spawn } from "node:child_process";
import type { FileHandle } from "node:fs/promises";

const INHERITED_FD = 3;
const EXIT_HELD = 1;

/** `unavailable` when the machine has no such tool. */
export function flock(handle: FileHandle): Promise<"locked" | "held" | "unavailable"> {
  return new Promise((resolve, reject) => {
    const tool = spawn("flock", ["--nonblock", String(INHERITED_FD)], {
      stdio: ["ignore", "ignore", "ignore", handle.fd],
    });
    tool.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "EACCES") resolve("unavailable");
      else reject(error);
    });
    tool.once("exit", (code) => {
      if (code === 0) resolve("locked");
      else if (code === EXIT_HELD) resolve("held");
      else resolve("unavailable");
    });
  });
}
