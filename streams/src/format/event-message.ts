/** A row as a broker's message: JSON, or an event (`format: cloudevents`) in one of the modes of its specification. */
import { cloudEventToParts, type Json, type JsonObject } from "@millrace/engine";

/** `structured`: the event is the body; `binary`: its data is, and its attributes are headers. */
export type EventMode = "structured" | "binary";

export interface MessageParts {
  readonly body: Buffer;
  /** Absent: an event does not say what its data is. */
  readonly contentType: string | undefined;
  /** Attributes of an event in binary mode, by their names; each protocol has a form of its own for them. */
  readonly attributes: Readonly<Record<string, string>>;
}

const JSON_TYPE = "application/json";
/** What tells an event in structured mode. */
export const EVENT_TYPE = "application/cloudevents+json; charset=utf-8";
const NONE: Readonly<Record<string, string>> = {};

/** @param events rows are events that were checked; absent: they are any JSON */
export function messageParts(row: Json, events: EventMode | undefined): MessageParts {
  if (events !== "binary")
    return {
      body: Buffer.from(JSON.stringify(row)),
      contentType: events === undefined ? JSON_TYPE : EVENT_TYPE,
      attributes: NONE,
    };
  // Whoever makes events of rows has seen to it.
  const { attributes, contentType, body } = cloudEventToParts(row as JsonObject);
  return { attributes, contentType, body: Buffer.from(body) };
}

/** Attributes as headers. */
export function prefixed(
  prefix: string,
  attributes: Readonly<Record<string, string>>,
  form: (value: string) => string = (value) => value,
): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [prefix + name, form(value)]));
}
