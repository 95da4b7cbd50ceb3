/** From messages of a stream to rows. */
import type { Json, JsonObject } from "@millrace/engine";
import type { MsgHdrs } from "nats";
import { decoded } from "../format/decoded.ts";
import type { DecodeMessage } from "../format/message-format.ts";
import type { PulledMessage } from "./pull-consumer.ts";

/** `decode`: of bodies. @throws MSG-DECODE, or what `decode` says, with its place */
export type RowDecoder = (message: PulledMessage, decode: DecodeMessage) => Json;

/** The message's body. */
export const bodyRow: RowDecoder = (message, decode) =>
  decoded(message.data, decode, () => ({
    name: `a message on ${message.subject}`,
    at: { stream: message.subject, position: message.sequence },
  }));

/** `{subject, sequence, time, headers, data}`, with the body in `data`. */
export const envelopeRow: RowDecoder = (message, decode) => ({
  subject: message.subject,
  sequence: message.sequence,
  time: new Date(message.timeMs).toISOString(),
  headers: headersJson(message.headers),
  data: bodyRow(message, decode),
});

/** A header that is there several times has all its values. */
export function headersJson(headers: MsgHdrs | undefined): JsonObject {
  return Object.fromEntries(
    headers?.keys().map((key) => {
      const values = headers.values(key);
      return [key, values.length > 1 ? values : headers.get(key)];
    }) ?? [],
  );
}

/** `{key, value, operation, revision, time}`: one change of a key-value bucket. `value` is null unless it was put. */
export function changeRow(bucket: string): RowDecoder {
  const prefix = `$KV.${bucket}.`.length;
  return (message, decode) => {
    const operation = operationOf(message.headers);
    return {
      key: message.subject.slice(prefix),
      value: operation === "put" ? bodyRow(message, decode) : null,
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
/** What the server itself says in the place of a value whose time is over, or that was removed (ADR-43, ADR-48). */
const MARKERS: ReadonlyMap<string, string> = new Map([
  ["MaxAge", "purge"],
  ["Purge", "purge"],
  ["Remove", "delete"],
]);

function operationOf(headers: MsgHdrs | undefined): string {
  const said = OPERATIONS.get(headers?.get("KV-Operation") ?? "");
  return said ?? MARKERS.get(headers?.get("Nats-Marker-Reason") ?? "") ?? "put";
}
