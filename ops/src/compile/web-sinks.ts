/** Sinks at web addresses: webhooks and WebSockets. */
import { type AnyNodeModel, type SinkConnector, streamOf, webhookUrls } from "@millrace/engine";
import type { WebhookSinkOptions } from "@millrace/streams/http";
import { opsError } from "../errors.ts";
import { secretsIn } from "./call-options.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";
import { callOptions } from "./web-sources.ts";
import { webhookKeys } from "./webhook-keys.ts";

type Sink = Pick<Extract<AnyNodeModel, { kind: "sink" }>, "name" | "definition">;

/** @throws HOST-CONNECTOR the address cannot be used, or a secret does not exist */
export async function openWebhook(node: Sink, context: CompileContext): Promise<() => SinkConnector> {
  const { webhookSink } = await import("@millrace/streams/http");
  const options = webhookOptions(node, context);
  return () => webhookSink(options, context.options.env);
}

function webhookOptions({ name, definition }: Sink, context: CompileContext): WebhookSinkOptions {
  const { to, secret, format, cloudevents, http = {} } = definition;
  const { env, resilience: policy } = context.options;
  const place = context.place(name, "to");
  const urls = webhookUrls(withSecrets(to, context, place));
  // The text may hold a secret, and so may the error.
  if (urls === undefined) throw opsError("HOST-CONNECTOR", "the address, with its secrets, is none", { place });
  const id = streamOf(context.model.name, name);
  const keys = secret === undefined ? undefined : webhookKeys(secret, context, context.place(name, "secret"));
  return {
    urls,
    policy,
    secrets: secretsIn([to], {}, name, context),
    ...(http.allow === undefined ? {} : { allow: http.allow }),
    ...(format === "cloudevents" ? { events: cloudevents?.mode ?? "batch" } : {}),
    ...(keys === undefined ? {} : { signing: { keys, id, clock: env.clock } }),
  };
}

/** @throws HOST-CONNECTOR the address cannot be used, or a secret does not exist */
export async function openSocket({ name, definition }: Sink, context: CompileContext): Promise<() => SinkConnector> {
  const { socketSink } = await import("@millrace/streams/http");
  const { http = {}, to } = definition;
  const { env, resilience: policy } = context.options;
  const options = {
    ...callOptions(name, to, "to", http, context),
    sink: streamOf(context.model.name, name),
    policy,
    ...(http.ack === undefined ? {} : { ack: http.ack }),
  };
  return () => socketSink(options, env);
}
