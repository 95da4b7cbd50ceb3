/**
 * How the bytes of a broker's message become a row, and a row bytes: one place for every connector whose messages are bytes. A format may
 * need something from elsewhere, such as a schema: that is fetched ahead, so that a message is judged by what it holds, and never by
 * whether a service answers.
 */
import type { ConnectionStatus, Json } from "@millrace/engine";
import type { MessageParts } from "./message-parts.ts";

/** @throws an error with a code: the message is none */
export type DecodeMessage = (value: Uint8Array) => Json;

export interface MessageDecoder {
  /** What decodes these values, if all that it needs is there already. */
  ready(values: Iterable<Uint8Array>): DecodeMessage | undefined;
  /** What decodes these values, once all that it needs is there. @throws transient errors: nothing is wrong with the messages */
  prepared(values: Iterable<Uint8Array>): Promise<DecodeMessage>;
  /** The connection to where it fetches from; absent if it fetches nothing. */
  connection?(): ConnectionStatus;
  close?(): Promise<void>;
}

/** @throws a rejected error: the row cannot be encoded */
export type EncodeMessage = (row: Json) => MessageParts;

export interface MessageEncoder {
  /** Bodies are no text. Default false. */
  readonly isBinary?: boolean;
  /** What encodes rows. @throws transient errors: ask again later; terminal ones: no row can be encoded */
  prepared(): Promise<EncodeMessage>;
  connection?(): ConnectionStatus;
  close?(): Promise<void>;
}

/** The connection that a format has, if it has one. */
export function connectionsOf(format: MessageDecoder | MessageEncoder): readonly ConnectionStatus[] {
  return format.connection === undefined ? [] : [format.connection()];
}
