import { defineErrors, MillraceError } from "../errors.ts";

export const transportError = defineErrors({
  "TRANSPORT-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the transport carries.",
    remedy: "Send smaller frames, or large payloads by reference.",
  },
  "TRANSPORT-FAILED": {
    kind: "transient",
    summary: "A transport cannot listen or connect.",
    remedy: "Read the cause; connections are made again by themselves.",
  },
  "TRANSPORT-PROTOCOL": {
    kind: "terminal",
    summary: "A peer sent what the transport does not understand.",
    remedy: "Check that both ends run the same version.",
  },
  "TRANSPORT-CLOSED": { kind: "terminal", summary: "The transport was closed.", remedy: "Open it again." },
});

/** For what ends with its transport anyway: all other errors are thrown again. */
export function unlessClosed(error: unknown): undefined {
  if (!(error instanceof MillraceError) || error.code !== "TRANSPORT-CLOSED") throw error;
}
