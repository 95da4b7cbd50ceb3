/** The error catalogue of file sources and sinks. */
import { defineErrors, engineError, type MillraceError, messageOf } from "@millrace/engine";

export const fileError = defineErrors({
  "SOURCE-TRUNCATED": {
    kind: "transient",
    summary: "A file is shorter than what was already read of it.",
    remedy: "Rotate files by renaming them; the source goes on with what is written from now on.",
  },
  "SOURCE-DAMAGED": {
    kind: "terminal",
    summary: "A file cannot be read any further: it is cut off, damaged or of another format.",
    remedy: "Replace the file by a whole one; the place names where reading stopped.",
  },
  "SINK-OCCUPIED": {
    kind: "transient",
    summary: "The file that a sink is to write holds something already that this sink has not written.",
    remedy:
      "Correct the path, or move the file away: nothing in it was changed. A sink that has begun needs its own file back; for any other, if what is there may go, write `replace: true` at the sink.",
  },
});

/** What the operating system said of opening or reading `file`, as a source's error. */
export function readError(file: string, cause: unknown, position?: number): MillraceError {
  const place = position === undefined ? { file } : { file, position };
  if (codeOf(cause) === "ENOENT") return engineError("SOURCE-MISSING", `${file} does not exist`, { place, cause });
  return engineError("SOURCE-FAILED", `cannot read ${file}: ${messageOf(cause)}`, { place, cause });
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
