import { defineErrors } from "../errors.ts";

export const payloadError = defineErrors({
  "PAYLOAD-FAILED": {
    kind: "transient",
    summary: "The payload store's storage failed.",
    remedy: "Read the cause; payloads travel inline meanwhile.",
  },
  "PAYLOAD-RELEASED": {
    kind: "programmer",
    summary: "A payload was read after its lease was released.",
    remedy: "Copy what outlives the step, or hold the lease longer.",
  },
  "PAYLOAD-LEASE-LOST": {
    kind: "transient",
    summary: "A lease on a payload was revoked while it was held, so what was read may be another payload's bytes.",
    remedy:
      "Nothing: the frame is asked for again. If it happens often, the process was stopped longer than a lease lasts.",
  },
  "PAYLOAD-MISSING": {
    kind: "terminal",
    summary: "A message names a payload whose bytes are neither in shared memory nor, whole, in the archive.",
    remedy: "Bring the file back into payloads/objects of the data directory and redrive the dead letter.",
  },
  "PAYLOAD-VALUE": {
    kind: "rejected",
    summary: "A value looks like a payload and is none.",
    remedy: 'Write payloads as {"$payload": {"format", "base64"}}; references are made by Millrace.',
  },
  "PAYLOAD-UNREACHABLE": {
    kind: "rejected",
    summary: "A calculator asked for a payload by reference where none can be opened: in WebAssembly, or inline.",
    remedy: "Run it as a library in a process or thread, or have an earlier node take from the payload what it needs.",
  },
  "PAYLOAD-TOO-LARGE": {
    kind: "terminal",
    summary: "A payload is larger than the way out of this host takes.",
    remedy: "Keep the payload on this host, make it smaller before the edge or sink, or send what it says of it.",
  },
  "PAYLOAD-CLOSED": { kind: "terminal", summary: "The payload store was closed.", remedy: "Open it again." },
});
