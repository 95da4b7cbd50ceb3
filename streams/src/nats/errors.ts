/** The error catalogue of NATS connectors and edges. */
import { defineErrors } from "@millrace/engine";

export const natsError = defineErrors({
  "NATS-RETENTION": {
    kind: "terminal",
    summary: "A stream removes messages when they are consumed, so it cannot be read by position.",
    remedy: "Read from a stream with the limits retention; a work queue can feed one by `sources`.",
  },
  "NATS-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the server takes.",
    remedy: "Raise `max_payload` of the server, or send less in one message.",
  },
  "NATS-KEY": {
    kind: "rejected",
    summary: "A row for a key-value bucket has no key that NATS allows.",
    remedy: "Keys are texts or numbers made of letters, digits and - / _ = . in the field named by `key`.",
  },
});
