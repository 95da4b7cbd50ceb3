import { exitFast } from "../fast-exit.ts";
import { EXIT } from "./failure.ts";

/** Has SIGINT and SIGTERM end a command at once, after `tidy`. */
export function endOnInterruption(tidy: () => void): void {
  const end = (): void => {
    tidy();
    exitFast(EXIT.interrupted);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
}
