/** The error catalogue of ActiveMQ connectors. */
import { defineErrors } from "@millrace/engine";

export const activemqError = defineErrors({
  "ACTIVEMQ-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the broker takes.",
    remedy:
      "Raise `maxDataLength` or `wireFormat.maxFrameSize` of the broker's connector, or send less in one message.",
  },
  "ACTIVEMQ-PRIORITY": {
    kind: "rejected",
    summary: "A row has no usable value in the field that its message's priority is taken from.",
    remedy: "Priorities are whole numbers from 0 to 9; correct the rows, or the option `priority` of the address.",
  },
});
