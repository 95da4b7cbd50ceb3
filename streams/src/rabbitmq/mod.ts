/** RabbitMQ: queues and exchanges. Every export is listed by name. */
export { rabbitmqError } from "./errors.ts";
export { type RabbitmqOptions, type RabbitmqSinkOptions, rabbitmqFeed, rabbitmqSink } from "./rabbitmq-connectors.ts";
