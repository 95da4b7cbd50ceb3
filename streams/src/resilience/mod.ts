/** What every connector does about connections that fail. Every export is listed by name. */
export { Connection, type ConnectionDriver, type ConnectionOptions } from "./connection.ts";
export { hostAndPort, policyOf, type Tls } from "./endpoint.ts";
export { connectionError } from "./errors.ts";
export type { MessageIntake } from "./message-intake.ts";
export { DEFAULT_RESILIENCE, type ResiliencePolicy } from "./policy.ts";
export { type FeedDriver, resilientFeed } from "./resilient-feed.ts";
export { resilientSink, type SinkDriver } from "./resilient-sink.ts";
export { resilientSource, type SourceDriver } from "./resilient-source.ts";
