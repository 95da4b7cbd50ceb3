/**
 * What a stream removed before it was read. It shows by the stream's first sequence: at opening, and whenever numbers are
 * missing between two messages. Numbers that are missing above the first sequence were deleted one by one, compacted or
 * belong to other subjects: holes (R2).
 */
import { engineError, type MillraceError } from "@millrace/engine";
import type { NatsConnection, NatsError, StreamInfo } from "nats";

/** @throws SOURCE-MISSING */
export async function streamInfo(nc: NatsConnection, stream: string): Promise<StreamInfo> {
  const jsm = await nc.jetstreamManager({ checkAPI: false });
  return jsm.streams.info(stream).catch((cause: NatsError) => {
    if (cause.api_error?.code !== NOT_FOUND) throw cause;
    throw engineError("SOURCE-MISSING", `there is no stream ${stream}`, { cause, place: { stream } });
  });
}

const NOT_FOUND = 404;

/** The first sequence that the stream still has, or the one that its next message gets. */
export function firstKept({ state }: StreamInfo): number {
  return state.messages === 0 ? state.last_seq + 1 : state.first_seq;
}

export function gapError(stream: string, from: number, to: number, filter: string | undefined): MillraceError {
  const which = filter === undefined ? "" : `; ${filter} matched some of them, or none`;
  return engineError("SOURCE-GAP", `stream ${stream} removed ${from} to ${to} before they were read${which}`, {
    place: { stream, position: from },
    details: { stream, from, to },
  });
}

/** A stream that ends before what was read of it is not the one that was read. @throws SOURCE-RECREATED */
export function refuseShorter(info: StreamInfo, after: number): void {
  const { name: stream } = info.config;
  const { last_seq: last } = info.state;
  if (last >= after) return;
  throw engineError("SOURCE-RECREATED", `stream ${stream} ends at ${last}, but was read up to ${after}`, {
    place: { stream, position: after },
    details: { stream, read: after, last },
  });
}
