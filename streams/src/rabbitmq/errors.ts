/** The error catalogue of RabbitMQ connectors. */
import { defineErrors } from "@millrace/engine";

export const rabbitmqError = defineErrors({
  "RABBITMQ-UNROUTABLE": {
    kind: "rejected",
    summary: "An exchange has no queue for a message with this routing key, and gave it back.",
    remedy: "Bind a queue for the key that the message names, then redrive the dead letter.",
  },
  "RABBITMQ-KEY": {
    kind: "rejected",
    summary: "A row for an exchange has no routing key in the field named by `key`.",
    remedy:
      "Routing keys are texts of at most 255 bytes, numbers or truth values; name another field, or one key in the address.",
  },
  "RABBITMQ-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the broker takes.",
    remedy: "Raise `max_message_size` of the broker, or send less in one message.",
  },
  "RABBITMQ-NACK": {
    kind: "transient",
    summary: "The broker did not take a message: a queue is full and refuses more, or has lost most of its replicas.",
    remedy: "Look at the queue's length limit and its members; the messages are sent again.",
  },
  "RABBITMQ-DELIVERIES": {
    kind: "rejected",
    summary: "A queue delivered a message more often than the address allows.",
    remedy:
      "Look what became of the process that took it before; redrive the dead letter, or raise `deliveries` in the address.",
  },
  "RABBITMQ-STREAM": {
    kind: "terminal",
    summary: "The queue is a stream, whose messages stay after they were acknowledged.",
    remedy: "Read it as `/stream/<name>`, or name a classic or a quorum queue.",
  },
  "RABBITMQ-QUEUE": {
    kind: "terminal",
    summary: "The queue is no stream, so it has no offsets to be read by.",
    remedy: "Read it as `/queue/<name>`, or declare it with `x-queue-type: stream`.",
  },
  "RABBITMQ-PRIORITY": {
    kind: "rejected",
    summary: "A row has no usable value in the field that its message's priority is taken from.",
    remedy: "Priorities are whole numbers from 0 to 255; correct the rows, or the option `priority` of the address.",
  },
});
