/** Web targets and services. Every export is listed by name. */
export { httpError } from "./errors.ts";
export { type GuardedHttpOptions, guardedHttpClient } from "./guarded-http-client.ts";
export { type WebhookSigning, type WebhookSinkOptions, webhookSink } from "./webhook-sink.ts";
