/** Events of a read on their way out, several in one write. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { type EncodeOptions, encodeEvents, readResponses } from "./event-messages.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { ReadRequest } from "./read-request.ts";

/** What a caller who does not read may hold; also about what goes out in one write. */
const HELD_BYTES_MAX = 256 << 10;

/**
 * Sends events as `ReadResp.event`, as many as may be held at once and at least one. Returns how many were taken, -1 once the
 * call is over. When some are left, let go of the batch and read again from there: a caller may take its time.
 */
export async function sendEvents(
  call: GrpcCall,
  context: EndpointContext,
  { resolveLinks, structuredIds }: Pick<ReadRequest, "resolveLinks" | "structuredIds">,
  events: readonly RecordedEvent[],
): Promise<number> {
  const options: EncodeOptions = { resolveLinks, structuredIds, describe: context.describe };
  const encoded = encodeEvents(events, options, HELD_BYTES_MAX);
  if (encoded.length === 0) return call.signal.aborted ? -1 : 0;
  const responses = await readResponses(encoded, context, options);
  return (await call.sendAll(responses)) ? encoded.length : -1;
}
