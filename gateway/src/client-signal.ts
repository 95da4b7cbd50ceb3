/**
 * Tells whether somebody still waits for an answer. A read that takes long asks for it: without, it would go on to its end for a client
 * that has left, and as many of them beside each other as somebody cares to begin.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { gatewayError } from "./errors.ts";

/**
 * Aborts, with HTTP-CLIENT-GONE as its reason, when the client goes before the answer is complete. It is told by its connection: a
 * response that waits behind another of the same connection is not told itself.
 */
export function clientSignal({ raw: { socket } }: FastifyRequest, { raw: response }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const leave = (): void => gone.abort(gatewayError("HTTP-CLIENT-GONE", "the client went before it had its answer"));
  socket.once("close", leave);
  response.once("close", () => socket.off("close", leave));
  if (socket.destroyed) leave();
  return gone.signal;
}
