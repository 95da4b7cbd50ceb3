/**
 * How the bytes of a broker's message become a row, and a row bytes. A format may need something from elsewhere, such as a schema:
 * that is fetched ahead, so that a message is judged by what it holds, and never by whether a service answers.
 */
import type { ConnectionStatus, Json } from "@millrace/engine";

/** @throws an error with a code: the message is none */
export type DecodeMessage = (value: Uint8Array) => Json;

export interface MessageDecoder {
  /** What decodes these values, once all that it needs is there. @throws transient errors: nothing is wrong with the messages */
  prepared(values: readonly Uint8Array[]): Promise<DecodeMessage>;
  /** The connection to where it fetches from; absent if it fetches nothing. */
  connection?(): ConnectionStatus;
  close?(): Promise<void>;
}

/** @throws a rejected error: the row cannot be encoded */
export type EncodeMessage = (row: Json) => Uint8Array | string;

export interface MessageEncoder {
  /** What encodes rows. @throws transient errors: ask again later; terminal ones: no row can be encoded */
  prepared(): Promise<EncodeMessage>;
  connection?(): ConnectionStatus;
  close?(): Promise<void>;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** JSON in UTF-8. What is none is a SyntaxError or TypeError, to which whoever knows the place adds a code. */
export const jsonDecoder: MessageDecoder = {
  prepared: async () => (value) => JSON.parse(utf8.decode(value)) as Json,
};

export const jsonEncoder: MessageEncoder = { prepared: async () => (row) => JSON.stringify(row) };
