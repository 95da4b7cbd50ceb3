import { defineErrors } from "../errors.ts";

export const coordinationError = defineErrors({
  "COORDINATION-KEY": {
    kind: "programmer",
    summary: "A coordination key or member id is not one.",
    remedy: "Use 1 to 200 letters, digits and `._/-`.",
  },
  "COORDINATION-FAILED": {
    kind: "transient",
    summary: "Coordination's storage or connection failed.",
    remedy: "Read the cause; the outcome of a write is found by reading.",
  },
  "COORDINATION-CLOSED": { kind: "terminal", summary: "Coordination was closed.", remedy: "Open it again." },
});
