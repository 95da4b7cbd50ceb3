/** The error catalogue of HTTP connectors. */
import { defineErrors } from "@millrace/engine";

export const httpError = defineErrors({
  "SINK-REFUSED": {
    kind: "terminal",
    summary: "A web target refused messages for good.",
    remedy:
      "Look at the dead letters and the target's answer in the error; correct the address, the headers or the messages.",
  },
  "HTTP-SHAPE": {
    kind: "rejected",
    summary: "An answer has no list of messages where the graph says that it is.",
    remedy: "Look at the dead letter, which shows the answer; correct `http.items`.",
  },
  "HTTP-STREAM": {
    kind: "transient",
    summary: "A service answered with something other than a stream of events.",
    remedy: "Correct the address; what is no `text/event-stream` is read with http: or https:.",
  },
  "HTTP-MESSAGE-SIZE": {
    kind: "terminal",
    summary: "A service sends an event or a message that is larger than it may be.",
    remedy: "Raise `http.bytes`; until then the source stays where it is, since what is left out would be lost.",
  },
  "HTTP-NEXT": {
    kind: "terminal",
    summary: "An answer does not say how to go on: its next page is no address or elsewhere, or its cursor is missing.",
    remedy:
      "Correct `http.next` or `http.cursor`; nothing of the answer was taken. Pages at another origin are not read, because they would be sent the credentials.",
  },
});
