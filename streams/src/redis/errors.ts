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
  "REDIS-KEY": {
    kind: "rejected",
    summary: "A row for keys of Redis has no text or number in the field that its key is made of.",
    remedy: "Give every row one in the field named by `key`.",
  },
  "REDIS-NOTIFY": {
    kind: "terminal",
    summary: "A server does not tell which keys change, so changes of keys cannot be read.",
    remedy:
      "Turn notifications on: `notify-keyspace-events KA` in the server's configuration, or `CONFIG SET notify-keyspace-events KA`; let the user `CONFIG GET` it. With `until=now` in the address they are not needed.",
  },
});
