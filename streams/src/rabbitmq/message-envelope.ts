/** What a message says beside its body, as JSON. */
import { isJsonObject, type Json } from "@millrace/engine";
import type { ConsumeMessage } from "amqplib";

/** Puts a body into `{exchange, key, id, priority, redelivered, contentType, headers, data}`; what the sender left out is null. */
export function envelopeOf({ fields, properties }: ConsumeMessage): (data: Json) => Json {
  const text = (value: unknown): Json => (typeof value === "string" ? value : null);
  const priority: unknown = properties.priority;
  return (data) => ({
    exchange: fields.exchange,
    key: fields.routingKey,
    id: text(properties.messageId),
    priority: typeof priority === "number" ? priority : null,
    redelivered: fields.redelivered,
    contentType: text(properties.contentType),
    headers: headerJson(properties.headers ?? {}),
    data,
  });
}

/** Values of headers that JSON has no word for: bytes become `{base64}`; times and decimals stay as the client tells them. */
function headerJson(value: unknown): Json {
  if (Buffer.isBuffer(value)) return { base64: value.toString("base64") };
  if (Array.isArray(value)) return value.map(headerJson);
  if (isJsonObject(value as Json))
    return Object.fromEntries(Object.entries(value as object).map(([name, inner]) => [name, headerJson(inner)]));
  if (typeof value === "bigint") return String(value);
  return value === undefined || (typeof value === "number" && !Number.isFinite(value)) ? null : (value as Json);
}
