import { MillraceError } from "@millrace/engine";

/** True for a step that was refused because it says more than the log takes at once: less of it may be taken. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === "LOG-TOO-LARGE" || error.code === "MSG-SIZE");
}
