/** The error catalogue of the node behaviors. */
import { defineErrors } from "@millrace/engine/worker";

export const actorError = defineErrors({
  "EXPR-RESULT": {
    kind: "rejected",
    summary: "An expression gave a value that its place cannot use.",
    remedy: "Look at the dead letter; correct the message or the expression.",
  },
  "ENRICH-MISSING": {
    kind: "rejected",
    summary: "The table of an enrich node has no row for a message's key.",
    remedy: "Add the row to the table, or make the join optional.",
  },
  "WINDOW-TIME": {
    kind: "rejected",
    summary: "A message has no usable event time.",
    remedy: "Give the message a time as ISO 8601 text or milliseconds since 1970.",
  },
  "WINDOW-VALUE": {
    kind: "rejected",
    summary: "A window cannot aggregate a value that is neither a number nor null.",
    remedy: "Look at the dead letter; correct the message or convert the value in the expression.",
  },
  "SWITCH-UNMATCHED": {
    kind: "rejected",
    summary: "A message matches no case of a switch that has no otherwise.",
    remedy: "Add a case or an otherwise to the switch.",
  },
  "PROJECTION-KEY": {
    kind: "rejected",
    summary: "A row for a projection lacks a field of the projection's key.",
    remedy: "Give every row all key fields, or choose another key.",
  },
  "CALC-LOAD": {
    kind: "terminal",
    summary: "A calculator does not load, or its file holds none.",
    remedy: "Correct the file at the place given.",
  },
  "CALC-THREW": {
    kind: "rejected",
    summary: "A calculator threw while it handled a message.",
    remedy: "Look at the dead letter for the message and the place in the module.",
  },
  "CALC-RESULT": {
    kind: "rejected",
    summary: "A calculator returned something that is not JSON.",
    remedy: "Return plain objects, arrays, strings, finite numbers, booleans or null; the path names the bad field.",
  },
  "CALC-TIMEOUT": {
    kind: "rejected",
    summary: "A calculator did not finish a message before its deadline.",
    remedy: "Look for an endless loop or a promise that never settles; raise the deadline if the work is long.",
  },
  "CALC-EXIT": {
    kind: "rejected",
    summary: "A calculator ended its worker, or its service the connection, while it handled a message.",
    remedy: "A calculator must not call process.exit; look at the dead letter for the message.",
  },
  "CALC-OOM": {
    kind: "rejected",
    summary: "A calculator used more memory than its worker is allowed.",
    remedy: "Look at the dead letter for the message; raise the memory limit if the work needs it.",
  },
  "CALC-CPU": {
    kind: "rejected",
    summary: "A calculator used more processor time for a message than it is allowed.",
    remedy: "Look at the dead letter for the message; raise `limits.cpu` if the work needs it.",
  },
  "CALC-PROTOCOL": {
    kind: "rejected",
    summary: "A calculator's process or service said something that the protocol does not allow.",
    remedy:
      "Use an SDK of this version and leave the process's socket alone; a service gives one result for each message.",
  },
  "CALC-START": {
    kind: "transient",
    summary: "A calculator that ran before does not start again.",
    remedy: "Read the cause: an interpreter may be gone, or memory short; it is tried again with back-off.",
  },
  "CALC-UNAVAILABLE": {
    kind: "transient",
    summary:
      "A calculator's service is not reached, is overloaded, or is left alone because it failed again and again.",
    remedy: "Look at the service; the node waits and tries again, and no message is given up.",
  },
  "CALC-CREDENTIALS": {
    kind: "transient",
    summary: "A calculator's service, or the server of its tokens, does not accept the credentials.",
    remedy: "Correct the secrets that `rest.auth` refers to and start the graph again; no message is given up.",
  },
  "CALC-REFUSED": {
    kind: "rejected",
    summary: "A calculator's service refused a message.",
    remedy: "Look at the dead letter for the service's answer; correct the message, the address or the service.",
  },
  "PUSH-CLOSED": {
    kind: "transient",
    summary: "A push source is not running, so it accepts nothing.",
    remedy: "Send again once the graph runs.",
  },
  "PUSH-FULL": {
    kind: "transient",
    summary: "More rows were pushed than the graph can take at once.",
    remedy: "Send again after the time given; send less at once.",
  },
});
