/**
 * CloudEvents in binary mode: attributes are headers, the data is the body. Header names have a prefix that each protocol has chosen:
 * `ce-` (HTTP, NATS), `ce_` (Kafka), `cloudEvents:` or `cloudEvents_` (AMQP).
 */
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";

const PREFIX = /^(?:ce[-_]|cloudEvents[:_])/i;
const CONTENT_TYPE = /^content-?type$/i;

type Headers = Readonly<Record<string, unknown>>;

/** Whether headers are those of an event in binary mode. */
export function hasCloudEventHeaders(headers: Headers): boolean {
  return Object.keys(headers).some((name) => PREFIX.test(name) && name.replace(PREFIX, "") === "specversion");
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
  const { data, data_base64: base64, datacontenttype, ...attributes } = event;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) headers[`ce-${name}`] = encoded(String(value));
  const isJson = typeof datacontenttype !== "string" || /\bjson\b/i.test(datacontenttype);
  if (typeof base64 === "string")
    return { headers: typed(headers, datacontenttype), body: Buffer.from(base64, "base64") };
  if (data === undefined) return { headers: typed(headers, datacontenttype), body: new Uint8Array() };
  const text = isJson || typeof data !== "string" ? JSON.stringify(data) : data;
  return { headers: typed(headers, datacontenttype ?? "application/json"), body: Buffer.from(text, "utf8") };
}

/** Rows of brokers with `envelope=true` have headers beside their data. */
export function cloudEventFromEnvelope(row: Json): Json {
  if (!isJsonObject(row) || !isJsonObject(row.headers ?? null)) return row;
  const headers = row.headers as JsonObject;
  const body = row.data === undefined ? row.value : row.data;
  // In structured mode the event is the body, whatever the headers say.
  return hasCloudEventHeaders(headers) ? cloudEventFromHeaders(headers, body, false) : (body ?? null);
}

function typed(headers: Record<string, string>, type: Json | undefined): Readonly<Record<string, string>> {
  return typeof type === "string" ? { ...headers, "content-type": type } : headers;
}

/** All that is no printable ASCII, and spaces, quotes and percent signs (§3.1.3.2). */
function encoded(text: string): string {
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
