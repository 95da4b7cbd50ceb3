/** Web targets. Every export is listed by name. */
export { httpError } from "./errors.ts";
export { type WebhookSigning, type WebhookSinkOptions, webhookSink } from "./webhook-sink.ts";
