/** A row as a message of NATS: an event has its attributes as headers, encoded as in HTTP, or its content type. */
import { type Json, percentEncoded } from "@millrace/engine";
import { headers, type MsgHdrs } from "nats";
import { EVENT_TYPE, type EventMode, messageParts, prefixed } from "../format/event-message.ts";

export interface OutgoingMessage {
  readonly body: Uint8Array;
  /** With them the message has headers. */
  readonly said?: { readonly headers: MsgHdrs };
  /** About as many bytes as they have. */
  readonly headerBytes: number;
}

/** @param events absent: rows are any JSON */
export function messageOf(row: Json, events: EventMode | undefined): OutgoingMessage {
  const { body, contentType, attributes } = messageParts(row, events);
  if (events === undefined) return { body, headerBytes: 0 };
  // The content type of a message tells that it is structured; that of the data is an attribute like any other.
  const typed = contentType === undefined ? attributes : { ...attributes, datacontenttype: contentType };
  const named = events === "structured" ? { "Content-Type": EVENT_TYPE } : prefixed("ce-", typed, percentEncoded);
  const made = headers();
  let headerBytes = 0;
  for (const [name, value] of Object.entries(named)) {
    made.set(name, value);
    headerBytes += name.length + value.length + LINE_BYTES;
  }
  return { body, headerBytes, said: { headers: made } };
}

/** Of a header beside its name and value. */
const LINE_BYTES = 4;
