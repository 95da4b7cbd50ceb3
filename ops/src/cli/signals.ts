/** SIGINT and SIGTERM: the first ends the session in order, the second at once, which is safe because the log is. */
import { exitFast } from "../fast-exit.ts";
import { EXIT } from "./failure.ts";

export interface Interruption {
  /** Resolves with the signal's name at the first one. */
  readonly signal: Promise<NodeJS.Signals>;
  /** Stops listening. */
  release(): void;
}

export function onInterruption(): Interruption {
  let interrupted = false;
  let resolveSignal: (signal: NodeJS.Signals) => void = () => undefined;
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    resolveSignal = resolve;
  });
  const handle = (name: NodeJS.Signals): void => {
    if (interrupted) exitFast(EXIT.interrupted);
    interrupted = true;
    resolveSignal(name);
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  const release = (): void => {
    process.off("SIGINT", handle);
    process.off("SIGTERM", handle);
  };
  return { signal, release };
}
