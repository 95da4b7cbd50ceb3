import { defineErrors } from "@millrace/engine";

/** What only a log on an EventStoreDB server can answer; the port's codes are in the engine's catalogue. */
export const eventStoreLogError = defineErrors({
  "ESDB-CONFIG": {
    kind: "rejected",
    summary: "The connection string of an EventStoreDB server is not usable.",
    remedy: "Write esdb://host:port?tls=true, with the credentials and tlsCAFile that the server needs.",
  },
  "ESDB-UNREACHABLE": {
    kind: "transient",
    summary: "The EventStoreDB server does not answer.",
    remedy: "Look at the server and the network; calls work again as soon as it does.",
  },
  "ESDB-TLS": {
    kind: "terminal",
    summary: "The EventStoreDB server's certificate is not trusted, or one side speaks TLS and the other does not.",
    remedy:
      "Name the authority that signed it with tlsCAFile, use a host name that the certificate has, and let tls be what the server speaks.",
  },
  "ESDB-DENIED": {
    kind: "terminal",
    summary: "The EventStoreDB server refuses the credentials, or they do not allow this.",
    remedy: "Give the user the right to read and write these streams, or other credentials.",
  },
  "ESDB-FAILED": {
    kind: "terminal",
    summary: "The EventStoreDB server refused a request for a reason of its own.",
    remedy: "Read the cause; a deleted stream, for one, takes no more events.",
  },
});
