/** `Streams/Append`: options, then one message per event; the whole call is one append. */
import type { ExpectedRevision } from "@millrace/engine";
import { authorOf, type EndpointContext, type GrpcMethod } from "./endpoint-context.ts";
import { eventStoreError } from "./errors.ts";
import type { GrpcCall } from "./grpc-call.ts";
import { type ClientEvent, readProposed } from "./stored-event.ts";
import { streamAndExpected } from "./stream-requests.ts";
import { type Appended, isWrongRevision, sizeOf, tooLarge } from "./stream-writer.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

export const append: GrpcMethod = async (call, context) => {
  const author = authorOf(call, context);
  const request = await readRequest(call, context);
  if (request === undefined) return;
  const { stream, expected, events } = request;
  try {
    await call.send(success(await context.writer.append(stream, expected, events, author)));
  } catch (thrown) {
    if (!isWrongRevision(thrown)) throw thrown;
    await call.send(conflict(expected, Number(thrown.details?.actual)));
  }
};

interface AppendRequest {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly ClientEvent[];
}

/** Nothing when the caller went away before it had said all: an append is all or nothing. */
async function readRequest(call: GrpcCall, { appendBytesMax }: EndpointContext): Promise<AppendRequest | undefined> {
  let target: Omit<AppendRequest, "events"> | undefined;
  const events: ClientEvent[] = [];
  let bytes = 0;
  for await (const message of call.messages()) {
    const request = new WireMessage(message);
    if (request.has(1)) target = streamAndExpected(request.message(1));
    if (!request.has(2)) continue;
    const event = readProposed(request.message(2));
    bytes += sizeOf(event);
    if (bytes > appendBytesMax) throw tooLarge(bytes, appendBytesMax);
    events.push(event);
  }
  if (call.signal.aborted) return undefined;
  if (target === undefined) throw eventStoreError("EVENTSTORE-INVALID", "the request has no options");
  return { ...target, events };
}

/** `AppendResp` with `Success`, whose fields `BatchAppendResp.Success` shares. */
function success(appended: Appended): Buffer {
  return new WireWriter().message(1, (writer) => writeSuccess(writer, appended)).finish();
}

export function writeSuccess(writer: WireWriter, { revision, position }: Appended): void {
  if (revision < 0) writer.message(2);
  else writer.uint(1, revision);
  if (position === undefined) writer.message(4);
  else writer.message(3, (place) => place.uint(1, position).uint(2, position));
}

/** `AppendResp.WrongExpectedVersion`, for clients of today and of 20.6. */
function conflict(expected: ExpectedRevision, actual: number): Buffer {
  return new WireWriter()
    .message(2, (writer) => {
      if (actual < 0) writer.message(2).message(7);
      else writer.uint(1, actual).uint(6, actual);
      if (typeof expected === "number") writer.uint(3, expected).uint(8, expected);
      else if (expected === "exists") writer.message(5).message(10);
      else if (expected === "none") writer.message(11);
      else writer.message(4).message(9);
    })
    .finish();
}
