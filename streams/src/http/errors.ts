/** The error catalogue of HTTP connectors. */
import { defineErrors } from "@millrace/engine";

export const httpError = defineErrors({
  "SINK-REFUSED": {
    kind: "terminal",
    summary: "A web target refused messages for good.",
    remedy:
      "Look at the dead letters and the target's answer in the error; correct the address, the headers or the messages.",
  },
});
