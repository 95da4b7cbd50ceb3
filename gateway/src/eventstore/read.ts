/** `Streams/Read`: some events of a stream or of all, or a subscription to them. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext, GrpcMethod } from "./endpoint-context.ts";
import type { GrpcCall } from "./grpc-call.ts";
import { type Place, type ReadRequest, readRequest } from "./read-request.ts";
import { sendEvents } from "./send-events.ts";
import { firstVisible, isSoftDeleted, isTooOld } from "./stream-metadata.ts";
import { deleted } from "./stream-writer.ts";
import { subscribeToAll, subscribeToStream } from "./subscriptions.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

export const read: GrpcMethod = async (call, context) => {
  const request = readRequest(new WireMessage(await call.message()).message(1));
  const { stream, count } = request;
  if (count === undefined) {
    if (stream === undefined) await subscribeToAll(call, context, request);
    else await subscribeToStream(call, context, request, stream);
  } else if (stream === undefined) await readAll(call, context, request, count);
  else await readStream(call, context, request, count, stream);
};

async function readAll(call: GrpcCall, context: EndpointContext, request: ReadRequest, count: number): Promise<void> {
  const { log } = context;
  const { isBackward, filter } = request;
  const end = log.durableEnd;
  const direction = isBackward ? "backward" : "forward";
  await sendBatches(call, context, request, {
    from: allStart(request.from, isBackward, log.base ?? 0, end),
    count,
    read: (from) => log.read({ from, direction }),
    placeOf: ({ position }) => position,
    isPast: ({ position }) => position >= end,
    passes: (event) => filter?.passes(event) ?? true,
  });
}

/** Forwards from a position begins with it, backwards with what is before it: positions are places between events there. */
function allStart(from: Place, isBackward: boolean, base: number, end: number): number {
  if (from === "start") return isBackward ? -1 : base;
  const at = from === "end" ? end : Math.min(from, end);
  return isBackward ? at - 1 : at;
}

async function readStream(
  call: GrpcCall,
  context: EndpointContext,
  request: ReadRequest,
  count: number,
  stream: string,
): Promise<void> {
  const { streams, env, states } = context;
  const { isTombstoned, metadata } = await states.of(stream);
  if (isTombstoned) throw deleted(stream);
  const head = await streams.head(stream);
  if (head < 0 || isSoftDeleted(metadata)) {
    await call.send(new WireWriter().message(4, (it) => it.message(1, (name) => name.text(3, stream))).finish());
    return;
  }
  const visible = firstVisible(metadata, head);
  // Whoever names a revision is told when it was pruned; the start is where the stream begins now.
  const isFromStart = request.from === "start" && !request.isBackward;
  const first = isFromStart ? Math.max(visible, await streams.firstKept(stream)) : visible;
  const nowMs = env.clock.now();
  await sendBatches(call, context, request, {
    from: streamStart(request, first, head),
    count,
    read: (from) => streams.read(stream, { from, direction: request.isBackward ? "backward" : "forward" }),
    placeOf: ({ revision }) => revision,
    isPast: ({ revision }) => revision < first || revision > head,
    passes: (event) => !isTooOld(metadata, event, nowMs),
  });
}

interface Reading {
  /** Negative: nothing is there to be read. */
  readonly from: number;
  readonly count: number;
  readonly read: (from: number) => AsyncIterable<readonly RecordedEvent[]>;
  readonly placeOf: (event: RecordedEvent) => number;
  /** True for the events after the last that is wanted. */
  readonly isPast: (event: RecordedEvent) => boolean;
  readonly passes: (event: RecordedEvent) => boolean;
}

async function sendBatches(
  call: GrpcCall,
  context: EndpointContext,
  request: ReadRequest,
  { from, count, read, placeOf, isPast, passes }: Reading,
): Promise<void> {
  let left = count;
  let next: number | undefined = from;
  while (next !== undefined && next >= 0 && left > 0) {
    const reading = read(next);
    next = undefined;
    for await (const batch of reading) {
      const wanted = batch.filter((event) => !isPast(event) && passes(event)).slice(0, left);
      const places = wanted.map(placeOf);
      const isLast = batch.some(isPast);
      const sent = await sendEvents(call, context, request, wanted);
      if (sent < 0) return;
      left -= sent;
      if (left <= 0 || (isLast && sent === wanted.length)) return;
      if (sent === wanted.length) continue;
      next = places[sent];
      break;
    }
  }
}

function streamStart({ from, isBackward }: ReadRequest, first: number, head: number): number {
  if (from === "end") return isBackward ? head : head + 1;
  const revision = from === "start" ? 0 : from;
  return isBackward ? Math.min(revision, head) : Math.max(revision, first);
}
