/** The error catalogue of Kafka connectors and edges. */
import { defineErrors } from "@millrace/engine";

export const kafkaError = defineErrors({
  "KAFKA-FENCED": {
    kind: "terminal",
    summary: "Another writer with the same name writes to the topic: a newer one of this node, or one elsewhere.",
    remedy: "Let one process run the node; two installations on one cluster need nodes or graphs of different names.",
  },
  "KAFKA-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the topic takes.",
    remedy: "Raise `max.message.bytes` of the topic, or send less in one message.",
  },
  "KAFKA-KEY": {
    kind: "rejected",
    summary: "A row for a topic has no key in the field named by `key`.",
    remedy: "Keys are texts, numbers or truth values; leave `key` out to spread rows over the partitions.",
  },
  "KAFKA-VERSION": {
    kind: "terminal",
    summary: "The brokers are too old to tell two topics of one name apart.",
    remedy: "Use Kafka 3.1 or newer.",
  },
});
