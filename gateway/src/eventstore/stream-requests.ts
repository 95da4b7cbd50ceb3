/** What requests of the streams service have in common: stream identifiers and expected revisions. */
import type { ExpectedRevision } from "@millrace/engine";
import { textOf, type WireMessage } from "./wire-reader.ts";

/** `event_store.client.StreamIdentifier`: the name is bytes, and means UTF-8. */
export function streamName(identifier: WireMessage): string {
  return textOf(identifier.bytes(3));
}

/**
 * `stream_identifier = 1` and the expectation of AppendReq.Options, BatchAppendReq.Options, DeleteReq.Options and
 * TombstoneReq.Options, which use the same field numbers. Without any the last form, `any`.
 */
export function streamAndExpected(options: WireMessage): {
  readonly stream: string;
  readonly expected: ExpectedRevision;
} {
  const stream = streamName(options.message(1));
  if (options.has(2)) return { stream, expected: options.uint(2) };
  if (options.has(3)) return { stream, expected: "none" };
  return { stream, expected: options.has(5) ? "exists" : "any" };
}
