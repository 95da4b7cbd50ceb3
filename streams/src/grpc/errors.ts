/** The error catalogue of gRPC connectors. */
import { defineErrors } from "@millrace/engine";

export const grpcError = defineErrors({
  "GRPC-SCHEMA": {
    kind: "rejected",
    summary: "The description of a service cannot be used, or does not have what a node names: a method or a field.",
    remedy: "Correct the name or the file; the place is where the graph names it.",
  },
  "GRPC-STATUS": {
    kind: "transient",
    summary: "A service failed in a way that may pass, or refuses the credentials.",
    remedy: "Look at the status and its text; it is called again, not before the time that it asks for.",
  },
  "GRPC-REFUSED": {
    kind: "terminal",
    summary: "A service refused the request of a source with a status that waiting does not cure.",
    remedy: "Look at the status and its text; correct address, `request` or cursor, then start the node again.",
  },
  "GRPC-MESSAGE-REFUSED": {
    kind: "rejected",
    summary: "A service refused a message for good.",
    remedy: "Look at the dead letter and the service's words in the error; correct the message and redrive it.",
  },
  "GRPC-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is larger than the service takes.",
    remedy: "Raise the service's limit for messages that it receives (usually 4 MiB), or send less in one message.",
  },
  "GRPC-MESSAGE-SIZE": {
    kind: "terminal",
    summary: "A service sends a message that is larger than it may be.",
    remedy: "Raise `grpc.bytes`; until then the source stays where it is, since what is left out would be lost.",
  },
  "GRPC-VALUE": {
    kind: "rejected",
    summary: "A row does not fit the request of a method; `details.path` says which field.",
    remedy: "Give the field the type that the description says, or remove it with a map; then redrive the dead letter.",
  },
  "GRPC-CURSOR": {
    kind: "terminal",
    summary: "A message does not say how to go on: the field that is the cursor is not there.",
    remedy: "Correct `grpc.cursor`; nothing of that message was taken.",
  },
  "GRPC-ACK": {
    kind: "transient",
    summary: "A service did not acknowledge messages in time, or acknowledged others than were sent.",
    remedy: "Look at `grpc.ack` and `grpc.deadline`; what was not acknowledged is sent again.",
  },
});
