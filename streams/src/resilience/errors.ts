/** The error catalogue of connections. */
import { defineErrors } from "@millrace/engine";

export const connectionError = defineErrors({
  "CONNECTION-FAILED": {
    kind: "transient",
    summary: "None of a connector's endpoints could be connected, or the connection broke.",
    remedy:
      "Read the reasons per endpoint; `details.endpoints` has their codes. A running graph tries again with growing waits; one that could not start has to be started again.",
  },
  "CONNECTION-SUSPENDED": {
    kind: "transient",
    summary: "An endpoint list failed so often that it is left alone for a while.",
    remedy: "Read the last reason; one attempt follows when the time in the message is over.",
  },
  "CONNECTION-CLOSED": {
    kind: "terminal",
    summary: "A connection was given up by its owner while it was being made.",
    remedy: "Nothing: the node that wanted it was stopped or started again.",
  },
  "CONNECTION-ADDRESS": {
    kind: "rejected",
    summary: "The address of a broker or database cannot be understood.",
    remedy: "Compare it with the forms in ops/docs/connectors.md.",
  },
});
