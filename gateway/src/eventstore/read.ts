/** `Streams/Read`: some events of a stream or of all, or a subscription to them. */
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
  const from = allStart(request.from, isBackward, log.durableEnd);
  if (from < 0) return;
  let left = count;
  for await (const batch of log.read({ from, direction: isBackward ? "backward" : "forward" })) {
    if (left <= 0 || call.signal.aborted) return;
    const passing = filter === undefined ? batch : batch.filter((event) => filter.passes(event));
    const events = passing.slice(0, left);
    left -= events.length;
    if (!(await sendEvents(call, context, request, events))) return;
    if (left <= 0) return;
  }
}

/** Forwards from a position begins with it, backwards with what is before it: positions are places between events there. */
function allStart(from: Place, isBackward: boolean, end: number): number {
  if (from === "start") return isBackward ? -1 : 0;
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
  const { log, env, states } = context;
  const { isTombstoned, metadata } = await states.of(stream);
  if (isTombstoned) throw deleted(stream);
  const head = await log.head(stream);
  if (head < 0 || isSoftDeleted(metadata)) {
    await call.send(new WireWriter().message(4, (it) => it.message(1, (name) => name.text(3, stream))).finish());
    return;
  }
  const first = firstVisible(metadata, head);
  const from = streamStart(request, first, head);
  const direction = request.isBackward ? "backward" : "forward";
  let left = from < first || from > head ? 0 : count;
  if (left <= 0) return;
  for await (const batch of log.readStream(stream, { from, direction })) {
    const seen = batch.filter((event) => event.revision >= first && !isTooOld(metadata, event, env.clock.now()));
    const events = seen.slice(0, left);
    left -= events.length;
    const isPast = request.isBackward && batch.some(({ revision }) => revision <= first);
    if (!(await sendEvents(call, context, request, events)) || left <= 0 || isPast) return;
  }
}

function streamStart({ from, isBackward }: ReadRequest, first: number, head: number): number {
  if (from === "end") return isBackward ? head : head + 1;
  const revision = from === "start" ? 0 : from;
  return isBackward ? Math.min(revision, head) : Math.max(revision, first);
}
