/** The error catalogue of AMQP 1.0 connectors. */
import { defineErrors } from "@millrace/engine";

export const amqp10Error = defineErrors({
  "AMQP10-REJECTED": {
    kind: "rejected",
    summary: "The broker rejected a message for good.",
    remedy: "Read the condition in the message; redrive the dead letter when its reason is gone.",
  },
  "AMQP10-RELEASED": {
    kind: "transient",
    summary: "The broker gave a message back: it cannot take it now, or has nowhere to put it.",
    remedy:
      "Look whether the queue is full, and whether the exchange or topic leads anywhere; the messages are sent again.",
  },
  "AMQP10-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the broker takes on this link.",
    remedy: "Raise the broker's limit, or send less in one message.",
  },
  "AMQP10-DELIVERIES": {
    kind: "rejected",
    summary: "A queue delivered a message more often than the address allows.",
    remedy:
      "Look what became of the process that took it before; redrive the dead letter, or raise `deliveries` in the address.",
  },
  "AMQP10-PRIORITY": {
    kind: "rejected",
    summary: "A row has no usable value in the field that its message's priority is taken from.",
    remedy: "Priorities are whole numbers from 0 to 255; correct the rows, or the option `priority` of the address.",
  },
});
