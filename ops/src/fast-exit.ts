/**
 * Ends the process without finishing what it does, which is safe because the log is. `process.exit` alone is not enough: it
 * joins the threads of the pool, and a thread with an LMDB transaction waits there for callbacks that no longer run, for ever.
 * So stores are closed first, and where even that hangs the process kills itself.
 */

/**
 * Closing an idle store takes milliseconds; a transaction in flight ends with the disk's next sync, and an index with its job. Counted in
 * turns: a process that others keep from the processor has fewer of them, and does not hang.
 */
const CLOSE_TURNS_MAX = 80;
const TURN_MS = 100;

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

/** Ends the process with this code. What was asked to be closed is closed first, for at most eight seconds of a machine that has time for it. */
export function exitFast(code: number): void {
  process.exitCode = code;
  killAfter(CLOSE_TURNS_MAX);
  void Promise.allSettled([...closers].map((close) => close())).then(() => process.exit(code));
}

function killAfter(turns: number): void {
  if (turns === 0) process.kill(process.pid, "SIGKILL");
  else setTimeout(killAfter, TURN_MS, turns - 1).unref();
}
