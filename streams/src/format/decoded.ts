/** A message's body as a row, or an error that says where the message is; and what of a body can be shown. */
import { engineError, type Json, MillraceError, messageOf, type Place } from "@millrace/engine";
import type { DecodeMessage } from "./message-format.ts";

/** Where a message is: as people say it, and as errors do. */
export interface MessagePlace {
  readonly name: string;
  readonly at: Place;
}

/** @throws MSG-DECODE, or what `decode` says, with its place */
export function decoded(value: Uint8Array, decode: DecodeMessage, where: () => MessagePlace): Json {
  try {
    return decode(value);
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw undecodable(where(), messageOf(cause), cause);
    const { name, at: place } = where();
    const { code, kind, message, details = {} } = cause;
    throw new MillraceError(code, kind, `${name}: ${message}`, { place, details, cause });
  }
}

export function undecodable({ name, at: place }: MessagePlace, why: string, cause?: unknown): MillraceError {
  return engineError("MSG-DECODE", `${name} is no JSON: ${why}`, { place, cause });
}

const SHOWN_BYTES_MAX = 4096;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The beginning of a body: as a text, or as `{base64}` where it has bytes that no text has. */
export function beginningOf(body: Uint8Array): Json {
  const shown = Buffer.from(body.subarray(0, SHOWN_BYTES_MAX));
  const text = shown.toString("utf8");
  return text.includes("\0") ? { base64: shown.toString("base64") } : text;
}

/** What a body is shown as when it is refused for another reason: the message where it is one, so that it can be redriven. */
export function shownBody(body: Uint8Array): Json {
  try {
    return JSON.parse(utf8.decode(body)) as Json;
  } catch {
    return beginningOf(body);
  }
}
