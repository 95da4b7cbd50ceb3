/** The error catalogue of ActiveMQ connectors. */
import { defineErrors } from "@millrace/engine";

export const activemqError = defineErrors({
  "ACTIVEMQ-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the broker takes.",
    remedy:
      "Raise `maxDataLength` or `wireFormat.maxFrameSize` of the broker's connector, or send less in one message.",
  },
});
