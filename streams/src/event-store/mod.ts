/** Public entry: the event log on an EventStoreDB server. */
export type { ConnectionOptions } from "./connection.ts";
export { eventStoreLogError } from "./errors.ts";
export { type EventStoreLog, type EventStoreLogOptions, openEventStoreLog } from "./event-store-log.ts";
export type { Outage } from "./server.ts";
