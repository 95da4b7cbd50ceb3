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
    remedy: "Correct the address; if the service is meant to be there, list its network under `rest.allow`.",
  },
  "HTTP-ANSWER-SIZE": {
    kind: "terminal",
    summary: "A service's answer is larger than it may be.",
    remedy: "Send fewer messages at once, or raise `rest.answerBytes`.",
  },
  "HTTP-REDIRECT": {
    kind: "terminal",
    summary: "A service redirects in a way that is not followed: too often, without encryption, or to no address.",
    remedy: "Give the address that the service redirects to.",
  },
});
