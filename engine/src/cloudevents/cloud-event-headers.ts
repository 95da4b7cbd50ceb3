/**
 * CloudEvents in binary mode: attributes are headers, the data is the body. Header names have a prefix that each protocol has chosen:
 * `ce-` (HTTP, NATS), `ce_` (Kafka), `cloudEvents:` or `cloudEvents_` (AMQP), none (MQTT).
 */
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";

const PREFIX = /^(?:ce[-_]|cloudEvents[:_])/i;
const CONTENT_TYPE = /^content-?type$/i;
const STRUCTURED = /^application\/cloudevents(?:-batch)?\+json\b/i;

type Headers = Readonly<Record<string, unknown>>;

/** Whether headers are those of an event in binary mode. In structured mode they may repeat what the body says (HTTP binding §3.2.3). */
export function hasCloudEventHeaders(headers: Headers): boolean {
  const names = Object.keys(headers);
  if (names.some((name) => CONTENT_TYPE.test(name) && STRUCTURED.test(String(headers[name])))) return false;
  return names.some((name) => PREFIX.test(name) && name.replace(PREFIX, "").toLowerCase() === "specversion");
}

/** The event that headers and body say; not checked yet. `isEncoded`: values are percent-encoded, as HTTP has them. */
export function cloudEventFromHeaders(headers: Headers, data: Json | undefined, isEncoded: boolean): JsonObject {
  const event: Record<string, Json> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string") continue;
    if (PREFIX.test(name)) event[name.replace(PREFIX, "").toLowerCase()] = isEncoded ? decoded(value) : value;
    else if (CONTENT_TYPE.test(name)) event.datacontenttype = value;
  }
  return data === undefined ? event : { ...event, data };
}

export interface BinaryCloudEvent {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** An event as a request over HTTP has it (HTTP protocol binding §3.1). */
export function cloudEventToHeaders(event: JsonObject): BinaryCloudEvent {
  const { attributes, contentType, body } = cloudEventToParts(event);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) headers[`ce-${name}`] = percentEncoded(value);
  return { headers: contentType === undefined ? headers : { ...headers, "content-type": contentType }, body };
}

export interface CloudEventParts {
  /** All but `datacontenttype`, by their names. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
  /** The data. */
  readonly body: Uint8Array;
}

/** What of an event goes where in binary mode, before a protocol has put it into its own form. */
export function cloudEventToParts(event: JsonObject): CloudEventParts {
  const { data, data_base64: base64, datacontenttype, ...others } = event;
  const attributes = Object.fromEntries(Object.entries(others).map(([name, value]) => [name, String(value)]));
  const contentType = typeof datacontenttype === "string" ? datacontenttype : undefined;
  if (typeof base64 === "string") return { attributes, contentType, body: Buffer.from(base64, "base64") };
  if (data === undefined) return { attributes, contentType, body: new Uint8Array() };
  const isJson = contentType === undefined || /\bjson\b/i.test(contentType);
  const text = isJson || typeof data !== "string" ? JSON.stringify(data) : data;
  return { attributes, contentType: contentType ?? "application/json", body: Buffer.from(text, "utf8") };
}

/**
 * Rows of brokers with `envelope=true` have headers beside their data: `headers`, or `properties` (AMQP 1.0, MQTT), and a `contentType`
 * where the protocol has a place of its own for it.
 */
export function cloudEventFromEnvelope(row: Json): Json {
  if (!isJsonObject(row)) return row;
  const said = row.headers ?? row.properties ?? null;
  if (!isJsonObject(said)) return row;
  const body = row.data === undefined ? row.value : row.data;
  const type = typeof row.contentType === "string" ? row.contentType : undefined;
  // In structured mode the event is the body, whatever the headers say.
  if (type !== undefined && STRUCTURED.test(type)) return body ?? null;
  const typed = type === undefined ? {} : { "content-type": type };
  // Only messages of NATS have a subject and headers, and it takes over what HTTP says of values.
  const isEncoded = row.headers !== undefined && row.subject !== undefined;
  if (hasCloudEventHeaders(said)) return cloudEventFromHeaders({ ...typed, ...said }, body, isEncoded);
  if (row.topic === undefined || row.qos === undefined || typeof said.specversion !== "string") return body ?? null;
  // MQTT has no prefix.
  return {
    ...said,
    ...(type === undefined ? {} : { datacontenttype: type }),
    ...(body === undefined ? {} : { data: body }),
  };
}

/** All that is no printable ASCII, and spaces, quotes and percent signs (§3.1.3.2). */
export function percentEncoded(text: string): string {
  return text.replace(/[^!#$&-~]/gu, (character) => {
    if (character === "'") return character;
    return [...Buffer.from(character, "utf8")]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join("");
  });
}

/** Senders that encode nothing, or badly, are read as they are. */
function decoded(text: string): string {
  const plain = /^"(.*)"$/s.exec(text)?.[1]?.replace(/\\(.)/g, "$1") ?? text;
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}
