/**
 * SIGINT and SIGTERM: the first ends the session in order, the second at once, which is safe because the log is. A session
 * that does not end in time, for one whose calculator hangs, ends as if a second signal had come.
 */
import { exitFast } from "../fast-exit.ts";
import { EXIT } from "./failure.ts";

export interface Interruption {
  /** Resolves with the signal's name at the first one. */
  readonly signal: Promise<NodeJS.Signals>;
  /** The session has ended in time. Signals are still heard: one that comes while the process ends would end it as if it had failed. */
  release(): void;
}

/** Process supervisors commonly kill after 30 s. */
const GRACE_MS = 20_000;

export function onInterruption(): Interruption {
  let grace: NodeJS.Timeout | undefined;
  let resolveSignal: (signal: NodeJS.Signals) => void = () => undefined;
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    resolveSignal = resolve;
  });
  const handle = (name: NodeJS.Signals): void => {
    if (grace !== undefined) exitFast(EXIT.interrupted);
    grace = setTimeout(endLate, GRACE_MS);
    grace.unref();
    resolveSignal(name);
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return { signal, release: () => clearTimeout(grace) };
}

function endLate(): void {
  process.stderr.write(`not stopped after ${GRACE_MS / 1000} s; what was not committed will be done again\n`);
  exitFast(EXIT.interrupted);
}
