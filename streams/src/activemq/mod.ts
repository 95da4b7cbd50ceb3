/** ActiveMQ: queues and topics, over STOMP. Every export is listed by name. */
export { type ActivemqOptions, activemqFeed, activemqSink } from "./activemq-connectors.ts";
export { activemqError } from "./errors.ts";
