/** What a message says beside its body, as JSON. */
import type { Json } from "@millrace/engine";
import type { Message } from "rhea";

/** Of a message whose sender says nothing, as the protocol has it. */
const PRIORITY = 4;

/** Puts a body into `{address, id, subject, priority, redelivered, contentType, properties, data}`; what the sender left out is null. */
export function envelopeOf(message: Message, { address }: { readonly address: string }): (data: Json) => Json {
  const { message_id: id, subject, content_type: contentType, application_properties: properties, priority } = message;
  return (data) => ({
    address,
    id: valueJson(id),
    subject: valueJson(subject),
    priority: typeof priority === "number" ? priority : PRIORITY,
    redelivered: isRedelivered(message),
    contentType: valueJson(contentType),
    properties: Object.fromEntries(
      Object.entries((properties ?? {}) as Record<string, unknown>).map(([name, value]) => [name, valueJson(value)]),
    ),
    data,
  });
}

/** Brokers tell it by a count, or by who had it first. */
function isRedelivered({ delivery_count: before, first_acquirer: isFirst }: Message): boolean {
  return (typeof before === "number" && before > 0) || isFirst === false;
}

/**
 * Values of properties are simple; of these JSON has no word for bytes (`{base64}`), times (ISO 8601; those that no calendar has, such as
 * the largest number for never, are null) and numbers that are none.
 */
function valueJson(value: unknown): Json {
  if (value === undefined || value === null) return null;
  if (Buffer.isBuffer(value)) return { base64: value.toString("base64") };
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  return typeof value === "string" || typeof value === "boolean" ? value : String(value);
}
