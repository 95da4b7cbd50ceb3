/**
 * Sends messages to a method. Where it takes one at a time each is a call, with an id as `idempotency-key`; where it takes a stream, a
 * delivery is a call, and done when that is answered; where both are streams, one call stands as long as the connection, and each message
 * is done when it is acknowledged. Ids are made of sink, lane, position and ordinal, the same whenever a message is sent again, so that a
 * service can leave out what it has.
 */
import { type ServiceError, status } from "@grpc/grpc-js";
import { type Env, type InputSlice, isJsonObject, type Json, type JsonObject } from "@millrace/engine";
import { plainIdsOf, Unfinished } from "../resilience/outgoing.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import { Acknowledging } from "./acknowledging.ts";
import { type FailureContext, sinkFailure } from "./call-failure.ts";
import { grpcError } from "./errors.ts";
import type { GrpcLink } from "./grpc-link.ts";
import { withValue } from "./message-form.ts";
import { DEADLINE_MS } from "./method-feed.ts";
import type { MethodSinkOptions, OutgoingRequest } from "./method-sink-options.ts";

const STREAMED_MAX = 1000;

export function methodSink(options: MethodSinkOptions, context: FailureContext, env: Env): SinkDriver<GrpcLink> {
  const { method } = options;
  const unfinished = new Unfinished();
  const both = method.takesMany && method.givesMany ? new Acknowledging(options, context, unfinished, env) : undefined;
  const send = (link: GrpcLink, messages: readonly OutgoingRequest[]): Promise<void> => {
    if (both !== undefined) return both.send(link, messages);
    return method.takesMany ? stream(link, messages) : callEach(link, messages);
  };
  const { deadlineMs = DEADLINE_MS, inFlight = method.takesMany ? STREAMED_MAX : 1 } = options;
  /** A service that does not answer in time may be one whose connection is dead. */
  const failed = (link: GrpcLink, error: ServiceError): Error => {
    const failure = sinkFailure(error, context);
    if (error.code === status.DEADLINE_EXCEEDED) link.end(failure);
    return failure;
  };
  /** Waits for all, so that nothing is on its way any more when it fails. */
  const callEach = async (link: GrpcLink, messages: readonly OutgoingRequest[]): Promise<void> => {
    const calls = messages.map(async ({ id, bytes }) => {
      await link.unary(method.path, bytes, { deadlineMs, metadata: { "idempotency-key": id } });
      unfinished.took(id);
    });
    for (const call of await Promise.allSettled(calls))
      if (call.status === "rejected") throw failed(link, call.reason as ServiceError);
  };
  const stream = (link: GrpcLink, messages: readonly OutgoingRequest[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const call = link.requests(method.path, { deadlineMs }, (error) => {
        if (error !== null) reject(failed(link, error));
        else for (const { id } of messages) unfinished.took(id);
        resolve();
      });
      // The call's own error says what happened.
      call.on("error", () => undefined);
      for (const { bytes } of messages) call.write(bytes);
      call.end();
    });
  return {
    guarantee: "at-least-once",
    async open(link) {
      both?.begin(link);
    },
    async deliver(link, slices) {
      const messages = slices.flatMap((slice) => outgoing(slice, options, context));
      await unfinished.finish(messages, inFlight, (some) => send(link, some));
      return null;
    },
  };
}

/** @throws GRPC-VALUE */
function outgoing(
  slice: InputSlice,
  { sink, method, request = {}, message, id: idField }: MethodSinkOptions,
  { name }: FailureContext,
): OutgoingRequest[] {
  const rows = slice.batch.rows();
  return plainIdsOf(sink, slice).map((id, i) => {
    const row = rows[i] ?? null;
    const filled = message === undefined ? merged(request, row, name) : withValue(request, message, row);
    return { id, bytes: method.request.encode(idField === undefined ? filled : withValue(filled, idField, id)) };
  });
}

function merged(request: JsonObject, row: Json, name: string): JsonObject {
  if (isJsonObject(row)) return { ...request, ...row };
  throw grpcError("GRPC-VALUE", `a message for ${name} is no object`, { details: { path: "$" } });
}
