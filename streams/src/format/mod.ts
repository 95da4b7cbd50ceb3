/** How messages that are bytes become rows, and rows messages. Every export is listed by name. */
export { eventEncoder } from "./json-format.ts";
export type { DecodeMessage, EncodeMessage, MessageDecoder, MessageEncoder } from "./message-format.ts";
export type { EventMode, MessageParts } from "./message-parts.ts";
