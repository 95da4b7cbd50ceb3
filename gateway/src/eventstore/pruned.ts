/** Tells a read of what was pruned from every other failure. */
import { MillraceError } from "@millrace/engine";

export function isPruned(thrown: unknown): boolean {
  return thrown instanceof MillraceError && thrown.code === "LOG-PRUNED";
}
