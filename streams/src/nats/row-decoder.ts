/** From messages of a stream to rows. */
import { engineError, type Json, type JsonObject, type MillraceError, messageOf } from "@millrace/engine";
import type { MsgHdrs } from "nats";
import type { PulledMessage } from "./pull-consumer.ts";

/** @throws MSG-DECODE */
export type RowDecoder = (message: PulledMessage) => Json;

const utf8 = new TextDecoder("utf-8", { fatal: true });
const SHOWN_BYTES_MAX = 4096;

/** The message's body as JSON. */
export const bodyRow: RowDecoder = (message) => parsed(message.data, message);

/** `{subject, sequence, time, headers, data}`, with the body as JSON in `data`. */
export const envelopeRow: RowDecoder = (message) => ({
  subject: message.subject,
  sequence: message.sequence,
  time: new Date(message.timeMs).toISOString(),
  headers: headersJson(message.headers),
  data: parsed(message.data, message),
});

export function headersJson(headers: MsgHdrs | undefined): JsonObject {
  return Object.fromEntries(headers?.keys().map((key) => [key, headers.get(key)]) ?? []);
}

/** `{key, value, operation, revision, time}`: one change of a key-value bucket. `value` is null unless it was put. */
export function changeRow(bucket: string): RowDecoder {
  const prefix = `$KV.${bucket}.`.length;
  return (message) => {
    const operation = OPERATIONS.get(message.headers?.get("KV-Operation") ?? "") ?? "put";
    return {
      key: message.subject.slice(prefix),
      value: operation === "put" ? parsed(message.data, message) : null,
      operation,
      revision: message.sequence,
      time: new Date(message.timeMs).toISOString(),
    };
  };
}

const OPERATIONS: ReadonlyMap<string, string> = new Map([
  ["DEL", "delete"],
  ["PURGE", "purge"],
]);

function parsed(data: Uint8Array, message: PulledMessage): Json {
  try {
    return JSON.parse(utf8.decode(data)) as Json;
  } catch (cause) {
    throw undecodable(message, cause);
  }
}

function undecodable({ subject, sequence }: PulledMessage, cause: unknown): MillraceError {
  const place = { stream: subject, position: sequence };
  return engineError("MSG-DECODE", `a message on ${subject} is no JSON: ${messageOf(cause)}`, { place, cause });
}

/** The body as far as it can be shown. */
export function shownBody(data: Uint8Array): string {
  return Buffer.from(data.subarray(0, SHOWN_BYTES_MAX)).toString("utf8");
}
