/** AMQP 1.0: queues and topics of any broker that speaks it. Every export is listed by name. */
export { type Amqp10Options, amqp10Feed, amqp10Sink } from "./amqp10-connectors.ts";
export { amqp10Error } from "./errors.ts";
