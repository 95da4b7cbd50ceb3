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
  "PAYLOAD-CLOSED": { kind: "terminal", summary: "The payload store was closed.", remedy: "Open it again." },
});
