/** Web targets and services. Every export is listed by name. */
export { httpError } from "./errors.ts";
export { type EventStreamOptions, eventStreamFeed } from "./event-stream-feed.ts";
export type { GuardedHttpOptions } from "./guarded-dialer.ts";
export { guardedHttpClient } from "./guarded-http-client.ts";
export { type PollOptions, pollFeed } from "./poll-feed.ts";
export { type SocketFeedOptions, type SocketOptions, socketFeed } from "./socket-feed.ts";
export { type SocketSinkOptions, socketSink } from "./socket-sink.ts";
export type { WebCallOptions } from "./web-caller.ts";
export { type WebhookSigning, type WebhookSinkOptions, webhookSink } from "./webhook-sink.ts";
