/** Kafka: topics as sources and sinks, and a transport over topics. Every export is listed by name. */
export { kafkaError } from "./errors.ts";
export type { KafkaServers } from "./kafka-connection.ts";
export { type KafkaSinkOptions, type KafkaSourceOptions, kafkaSink, kafkaSource } from "./kafka-connectors.ts";
export { kafkaServersOf } from "./kafka-servers.ts";
export { type KafkaTransportOptions, kafkaTransport } from "./kafka-transport.ts";
export { partitionOf } from "./partitioner.ts";
