/** Events of a read on their way out, several in one write. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { type EncodeOptions, readEvents } from "./event-messages.ts";
import type { GrpcCall } from "./grpc-call.ts";
import type { ReadRequest } from "./read-request.ts";
import { WireWriter } from "./wire-writer.ts";

const WRITE_BYTES = 64 << 10;

/** Sends events as `ReadResp.event`. False once the call is over. */
export async function sendEvents(
  call: GrpcCall,
  { log, describe }: EndpointContext,
  { resolveLinks, structuredIds }: Pick<ReadRequest, "resolveLinks" | "structuredIds">,
  events: readonly RecordedEvent[],
): Promise<boolean> {
  const options: EncodeOptions = { resolveLinks, structuredIds, describe };
  let pending: Buffer[] = [];
  let bytes = 0;
  for (const message of await readEvents(events, log, options)) {
    pending.push(new WireWriter(message.length + 16).bytes(1, message).finish());
    bytes += message.length;
    if (bytes < WRITE_BYTES) continue;
    if (!(await call.sendAll(pending))) return false;
    pending = [];
    bytes = 0;
  }
  return pending.length === 0 ? !call.signal.aborted : call.sendAll(pending);
}
