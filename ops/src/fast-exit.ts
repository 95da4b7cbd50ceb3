/**
 * Ends the process without finishing what it does, which is safe because the log is. `process.exit` alone is not enough: it
 * joins the threads of the pool, and a thread with an LMDB transaction waits there for callbacks that no longer run, for ever.
 * So stores are closed first, and where even that hangs the process kills itself.
 */

/** Closing an idle store takes milliseconds; a transaction in flight ends with the disk's next sync. */
const CLOSE_MS_MAX = 3000;

const closers = new Set<() => Promise<void>>();

/** Calls `close` before a fast exit; returns what takes that back. */
export function closeBeforeExit(close: () => Promise<void>): () => void {
  closers.add(close);
  return () => void closers.delete(close);
}

/** An error that nobody caught ends the process as it does anyway, but never hangs in the end. */
export function exitOnUncaught(): void {
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${error.stack ?? String(error)}\n`);
    exitFast(1);
  });
}

/** Ends the process with this code. What was asked to be closed is closed first, for at most three seconds. */
export function exitFast(code: number): void {
  process.exitCode = code;
  const deadline = setTimeout(() => process.kill(process.pid, "SIGKILL"), CLOSE_MS_MAX);
  deadline.unref();
  void Promise.allSettled([...closers].map((close) => close())).then(() => process.exit(code));
}
