/** The error catalogue of Redis connectors. */
import { defineErrors } from "@millrace/engine";

export const redisError = defineErrors({
  "REDIS-ID": {
    kind: "terminal",
    summary: "An entry of a stream has an id that is no time in milliseconds and a small number, so it is no position.",
    remedy: "Let the server make the ids (`XADD key *`).",
  },
  "REDIS-BEHIND": {
    kind: "terminal",
    summary:
      "A stream has less of a sink's messages than the sink committed: the server lost what it had said was there.",
    remedy:
      "Run it with `appendfsync always`, or accept the loss: delete the key that the message names, and start again.",
  },
});
