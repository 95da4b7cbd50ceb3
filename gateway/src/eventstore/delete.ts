/** `Streams/Delete` hides a stream until it is appended to again; `Streams/Tombstone` closes its name for ever. */
import type { ExpectedRevision } from "@millrace/engine";
import { authorOf, type EndpointContext, type GrpcMethod } from "./endpoint-context.ts";
import type { Author } from "./stored-event.ts";
import { streamAndExpected } from "./stream-requests.ts";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

export const deleteStream: GrpcMethod = removal(({ writer }, stream, expected, author) =>
  writer.delete(stream, expected, author),
);

export const tombstoneStream: GrpcMethod = removal(({ writer }, stream, expected, author) =>
  writer.tombstone(stream, expected, author),
);

type Removal = (
  context: EndpointContext,
  stream: string,
  expected: ExpectedRevision,
  author: Author,
) => Promise<number>;

/** Requests and answers of both are twins: `options = 1`, and `position = 1` of what was written. */
function removal(remove: Removal): GrpcMethod {
  return async (call, context) => {
    const author = authorOf(call, context);
    const { stream, expected } = streamAndExpected(new WireMessage(await call.message()).message(1));
    const position = await remove(context, stream, expected, author);
    await call.send(new WireWriter().message(1, (place) => place.uint(1, position).uint(2, position)).finish());
  };
}
