/** RabbitMQ: queues, streams and exchanges. Every export is listed by name. */
export { rabbitmqError } from "./errors.ts";
export {
  type RabbitmqOptions,
  type RabbitmqSinkOptions,
  rabbitmqFeed,
  rabbitmqSink,
  rabbitmqSource,
} from "./rabbitmq-connectors.ts";
