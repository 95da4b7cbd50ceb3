/** Any broker that has a JMS client: queues and topics, over a process in Java. Every export is listed by name. */
export type { BridgeProgram, JmsClient } from "./bridge-link.ts";
export { jmsError } from "./errors.ts";
export { checkJmsClient, type JmsOptions, jmsFeed, jmsSink } from "./jms-connectors.ts";
