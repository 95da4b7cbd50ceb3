/** The error catalogue of calls over HTTP. */
import { defineErrors } from "../errors.ts";

export const httpClientError = defineErrors({
  "HTTP-UNREACHABLE": {
    kind: "transient",
    summary: "A service could not be connected to; nothing was sent.",
    remedy: "Look whether the service runs and its name resolves; it is tried again.",
  },
  "HTTP-BROKEN": {
    kind: "transient",
    summary: "A service ended the connection before its answer was whole.",
    remedy: "Look at the service's own log; it is tried again.",
  },
  "HTTP-DEADLINE": {
    kind: "transient",
    summary: "A service did not answer as a whole before the deadline.",
    remedy: "Raise the deadline if the service needs longer; it is tried again.",
  },
  "HTTP-ADDRESS": {
    kind: "terminal",
    summary: "A service's name leads to an address that may not be called: private, loopback, link-local or reserved.",
    remedy:
      "Correct the address; if the service is meant to be there, list its network under `rest.allow`, of a source or sink under `http.allow`.",
  },
  "HTTP-ANSWER-SIZE": {
    kind: "terminal",
    summary: "A service's answer is larger than it may be.",
    remedy: "Send fewer messages at once, or raise `rest.answerBytes`, of a source `http.bytes`.",
  },
  "HTTP-REDIRECT": {
    kind: "terminal",
    summary: "A service redirects in a way that is not followed: too often, without encryption, or to no address.",
    remedy: "Give the address that the service redirects to.",
  },
  "HTTP-STATUS": {
    kind: "transient",
    summary: "A service answered a request for messages with a status that is no success.",
    remedy:
      "Look at the status and what the service said; it is asked again, not before it wants to be (`Retry-After`).",
  },
  "HTTP-TOKEN": {
    kind: "transient",
    summary: "A token server did not give a token: it is away or overloaded.",
    remedy: "Look whether the server at `tokenUrl` runs; it is asked again.",
  },
  "HTTP-CREDENTIALS": {
    kind: "transient",
    summary: "A service or its token server does not accept the credentials.",
    remedy: "Look at the secrets that `auth` refers to; they are read when the graph starts.",
  },
});
