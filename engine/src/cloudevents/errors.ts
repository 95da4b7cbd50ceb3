/** The error catalogue of CloudEvents. */
import { defineErrors } from "../errors.ts";

export const cloudEventError = defineErrors({
  "CLOUDEVENT-INVALID": {
    kind: "rejected",
    summary: "A message is no CloudEvent: an attribute is missing or has a value that it must not have.",
    remedy:
      "Look at the dead letter and the attribute that the error names; correct the sender, or the setting or field that the attribute comes from, then redrive it.",
  },
});
