import { defineErrors } from "@millrace/engine";

export const projectionError = defineErrors({
  "PROJECTION-UNKNOWN": {
    kind: "rejected",
    summary: "There is no projection of that name.",
    remedy: "Look at the list of projections.",
  },
  "PROJECTION-QUERY": {
    kind: "rejected",
    summary: "A query of a projection makes no sense.",
    remedy: "Read the message: it names the parameter.",
  },
  "PROJECTION-BEHIND": {
    kind: "transient",
    summary: "A projection has not folded the wanted position in time.",
    remedy: "Ask again; if it lasts, look at the projection's lag and state.",
  },
  "PROJECTION-BUSY": {
    kind: "transient",
    summary: "Rows as of one more past moment cannot be made while those of others are being made.",
    remedy: "Ask again when they are made, after `Retry-After` seconds over HTTP.",
  },
  "PROJECTION-PAST-SIZE": {
    kind: "rejected",
    summary: "The rows that a projection had at a past moment take more room than one look at the past may.",
    remedy: "Ask for an earlier moment, or start the server with a larger MILLRACE_PAST_MIB.",
  },
  "PROJECTION-PARKED": {
    kind: "terminal",
    summary: "Folding an event failed; the projection stands before it.",
    remedy: "Read the cause, correct the fold, and give the projection a new version.",
  },
  "PROJECTION-SCRIPT": {
    kind: "rejected",
    summary: "The script of a projection does not compile, or names no source.",
    remedy: "Correct the script; the message says what is wrong with it.",
  },
  "PROJECTION-LIMIT": {
    kind: "terminal",
    summary: "The script of a projection took more steps or memory than it may.",
    remedy: "Keep less in its state, or partition it; then update and enable it.",
  },
  "PROJECTION-AHEAD": {
    kind: "terminal",
    summary: "A projection has folded positions that the log does not have: the log lost its tail.",
    remedy: "Find out what happened to the log; rebuild the projection only if the loss is accepted.",
  },
});
