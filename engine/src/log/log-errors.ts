import { defineErrors } from "../errors.ts";

/** What every event log may answer; implementations add their own codes beside these. */
export const logError = defineErrors({
  "LOG-WRONG-REVISION": {
    kind: "terminal",
    summary: "A stream's head is not what the append expected.",
    remedy: "Read the stream and decide again.",
  },
  "LOG-CONDITION": {
    kind: "terminal",
    summary: "An event that the append's condition excludes is in the log.",
    remedy: "Read on from the position that the decision knew, and decide again.",
  },
  "LOG-FULL": {
    kind: "transient",
    summary: "The log has no prepared space left.",
    remedy: "Free disk space; appends resume by themselves.",
  },
  "LOG-TOO-LARGE": {
    kind: "rejected",
    summary: "One append exceeds the largest block.",
    remedy: "Send less in one step, or large payloads by reference.",
  },
  "LOG-ONE-STREAM": {
    kind: "terminal",
    summary: "One append names several streams, and the log can append to one at a time only.",
    remedy: "Append stream by stream, or use the embedded log.",
  },
  "LOG-UNKNOWN": {
    kind: "transient",
    summary: "An append's outcome is not known.",
    remedy: "Retry with the same ids, or read the stream.",
  },
  "LOG-CLOSED": { kind: "terminal", summary: "The log was closed.", remedy: "Open it again." },
  "LOG-LAG": {
    kind: "transient",
    summary: "The index or the audit tree is too far behind the log to accept more.",
    remedy: "Wait; if it lasts, look at the health of the follower that the details name.",
  },
});
