/** The error catalogue of JMS connectors. */
import { defineErrors } from "@millrace/engine";

export const jmsError = defineErrors({
  "JMS-CLASS": {
    kind: "terminal",
    summary: "A class of the JMS client is not on its class path.",
    remedy: "Add the vendor's jars, and what they need, to `jms.classPath`; the message names the class.",
  },
  "JMS-FACTORY": {
    kind: "terminal",
    summary: "The connection factory of the JMS client cannot be made, or refuses a setting.",
    remedy: "Compare `jms.factory`, `jms.set` or the entry in JNDI with the documentation of the client.",
  },
  "JMS-AUTH": {
    kind: "transient",
    summary: "The broker does not let this user in, or does not allow it what it asks for.",
    remedy: "Look at the user and password of the address, and at what the broker allows; it is tried again.",
  },
  "JMS-DESTINATION": {
    kind: "transient",
    summary: "The broker has no such queue or topic.",
    remedy: "Make it there, or correct its name; it is waited for.",
  },
  "JMS-CLIENT-ID": {
    kind: "transient",
    summary: "Somebody else is connected under the client id of a subscription.",
    remedy:
      "One connection at a time has it: wait until the broker has noticed that an old one is gone, or name another `subscription`.",
  },
  "JMS-SELECTOR": {
    kind: "terminal",
    summary: "The broker does not understand the selector.",
    remedy: "Write it as the API says: an expression about properties and headers, in the manner of SQL.",
  },
  "JMS-TYPE": {
    kind: "rejected",
    summary: "A message is of a type that cannot be read: neither text, bytes nor a map.",
    remedy: "Have it sent as text, bytes or a map; objects of Java are not opened.",
  },
  "JMS-TOO-LARGE": {
    kind: "rejected",
    summary: "A message is longer than `jms.bytesMax`, or than the broker takes.",
    remedy: "Raise the limit that the message names, or send less in one message.",
  },
  "JMS-DELIVERIES": {
    kind: "rejected",
    summary: "The broker delivered a message more often than the address allows.",
    remedy:
      "Look what became of the process that took it before; redrive the dead letter, or raise `deliveries` in the address.",
  },
  "JMS-ROW": {
    kind: "rejected",
    summary: "A row cannot be made a message: a field has no value that the API takes there.",
    remedy:
      "Priorities are whole numbers from 0 to 9, properties and entries of maps texts, numbers or truth values, correlations texts or numbers.",
  },
  "JMS-BRIDGE": {
    kind: "transient",
    summary: "The process that runs the JMS client could not be started, or has ended.",
    remedy: "Read its last words in the message; it is started again. Raise `jms.memoryMib` where its memory ran out.",
  },
});
