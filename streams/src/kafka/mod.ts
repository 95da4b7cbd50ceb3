/** Kafka: topics as sources and sinks. Every export is listed by name. */
export { kafkaError } from "./errors.ts";
export type { KafkaServers } from "./kafka-connection.ts";
export { type KafkaSinkOptions, type KafkaSourceOptions, kafkaSink, kafkaSource } from "./kafka-connectors.ts";
