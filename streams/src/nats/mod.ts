/** NATS: core, JetStream and key-value connectors. Every export is listed by name. */
export { natsError } from "./errors.ts";
export type { NatsServers } from "./nats-connection.ts";
export { type NatsSinkOptions, type NatsSourceOptions, natsFeed, natsSink, natsSource } from "./nats-connectors.ts";
export { type NatsTransportOptions, natsTransport } from "./nats-transport.ts";
