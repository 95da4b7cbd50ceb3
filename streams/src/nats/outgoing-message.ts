/** A message of NATS: an event has its attributes as headers, encoded as in HTTP, or its content type. */
import { percentEncoded } from "@millrace/engine";
import { headers, type MsgHdrs } from "nats";
import { type MessageParts, prefixed } from "../format/message-parts.ts";

export interface OutgoingMessage {
  readonly body: Uint8Array;
  /** With them the message has headers. */
  readonly said?: { readonly headers: MsgHdrs };
  /** About as many bytes as they have. */
  readonly headerBytes: number;
}

export function messageOf({ body, contentType, attributes, event }: MessageParts): OutgoingMessage {
  if (event === undefined) return { body, headerBytes: 0 };
  // The content type of a message tells that it is structured; that of the data is an attribute like any other.
  const typed = (name: string) => (contentType === undefined ? {} : { [name]: contentType });
  const named =
    event === "structured"
      ? typed("Content-Type")
      : prefixed("ce-", { ...attributes, ...typed("datacontenttype") }, percentEncoded);
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
