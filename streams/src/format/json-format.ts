/** Messages that are JSON in UTF-8, as they are where nothing else is said, or events (`format: cloudevents`) in one of their modes. */
import { cloudEventToParts, type Json, type JsonObject } from "@millrace/engine";
import type { DecodeMessage, MessageDecoder, MessageEncoder } from "./message-format.ts";
import { type EventMode, type MessageParts, NO_ATTRIBUTES } from "./message-parts.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });
const JSON_TYPE = "application/json";
/** What tells an event in structured mode. */
export const EVENT_TYPE = "application/cloudevents+json; charset=utf-8";

/** What is none is a SyntaxError or TypeError, to which whoever knows the place adds a code. */
const decode: DecodeMessage = (value) => JSON.parse(utf8.decode(value)) as Json;

export const jsonDecoder: MessageDecoder = { ready: () => decode, prepared: async () => decode };

export const jsonEncoder: MessageEncoder = {
  prepared: async () => (row) => text(row, JSON_TYPE, undefined),
};

/** Rows are events that were checked. */
export function eventEncoder(mode: EventMode): MessageEncoder {
  return { prepared: async () => (mode === "binary" ? binaryEvent : (row) => text(row, EVENT_TYPE, "structured")) };
}

const text = (row: Json, contentType: string, event: EventMode | undefined): MessageParts => ({
  body: Buffer.from(JSON.stringify(row)),
  contentType,
  attributes: NO_ATTRIBUTES,
  event,
});

function binaryEvent(row: Json): MessageParts {
  // Whoever makes events of rows has seen to it.
  const { attributes, contentType, body } = cloudEventToParts(row as JsonObject);
  return { attributes, contentType, body: Buffer.from(body), event: "binary" };
}
