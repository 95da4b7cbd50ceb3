/**
 * flock(2) without native code. The lock belongs to the open file description, so the util-linux tool `flock` takes it on a
 * descriptor that it inherits; the tool ends, the lock stays with the description that this process still holds, and it goes when
 * this process does, however it dies.
 */
import { spawn } from "node:child_process";

/**
 * Locks an open file, by its descriptor and without waiting, for as long as its description is open; `held`: another description has
 * the lock; `unavailable`: there are no such locks here.
 */
export type FileLock = (fd: number) => LockOutcome | Promise<LockOutcome>;

type LockOutcome = "locked" | "held" | "unavailable";

const INHERITED_FD = 3;
const EXIT_HELD = 1;

/** `unavailable` when the machine has no such tool. */
export function flock(fd: number): Promise<LockOutcome> {
  return new Promise((resolve, reject) => {
    const tool = spawn("flock", ["--nonblock", String(INHERITED_FD)], {
      stdio: ["ignore", "ignore", "ignore", fd],
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
